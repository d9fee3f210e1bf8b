//! A session after phase 1, against a gateway that says what a test wants it to say.

mod gateways;
#[cfg(feature = "daemon")]
mod handover;
mod keeping;
mod kit;
mod lifetimes;
mod making;
mod news;
mod one_way;
mod path_probe;
mod replacing;
