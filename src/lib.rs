//! vpnd, a userspace IPsec client. `ARCHITECTURE.md` is the map.
//!
//! Layers, top to bottom; a module uses what lies below it, never beside or above:
//! `cli` and `daemon`; `io` and `os`; `config`; `tunnel`; `ike` and `esp`; `sa`; `crypto`; `time` and `bpf`.
//! Everything from `config` down is pure: no socket, file, clock, task or operating-system randomness. So is `io::offload`.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

#[cfg(feature = "daemon")]
pub mod bpf;
pub mod crypto;
pub mod esp;
pub mod ike;
pub mod sa;
pub mod time;
pub mod tunnel;

pub mod config;

#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "daemon")]
pub mod daemon;
pub mod io;
#[cfg(feature = "daemon")]
pub mod os;

#[cfg(feature = "sim")]
pub mod sim;
