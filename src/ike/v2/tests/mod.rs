//! The handshake as a whole, by the rows of the protocol checklist.

mod kit;
mod openings;
