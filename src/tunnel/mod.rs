//! One configured gateway: which address to try, how long to wait, which inner addresses came, what to tell a person when it fails.
//! It does not know how a name is resolved, a route set or a file read: it asks.

pub mod progress;
pub mod reconnect;
pub mod settings;
