//! Primitives behind our own types. It knows algorithms and lengths; it knows no protocol number, message or SA.

mod aead;
pub mod carried;
pub mod cbc;
mod cbc_hmac;
pub mod cipher;
pub mod dh;
pub mod hash;
mod mac;
pub mod multibuffer;
pub mod prf;
pub mod random;
pub mod secret;
