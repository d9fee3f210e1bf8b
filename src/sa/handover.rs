//! What keeps an SA or a session from going on in another process.

use std::fmt;

/// What was carried is not what an SA or a session can be. Says what is wrong with it, and nothing that is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unrestorable(pub &'static str);

impl fmt::Display for Unrestorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unrestorable {}
