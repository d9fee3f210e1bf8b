//! Primitives behind our own types. It knows algorithms and lengths; it knows no protocol number, message or SA.

pub mod cipher;
pub mod dh;
pub mod prf;
pub mod random;
pub mod secret;
