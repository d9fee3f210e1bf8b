//! The handshake as a whole, by the rows of the protocol checklist.

mod answers;
mod candidates;
mod kit;
mod openings;
mod strangers;
