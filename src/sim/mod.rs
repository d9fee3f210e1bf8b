//! The simulated world: seeded links, an independently written gateway, and invariants that hold after every step.
//! Same seed, same story. Used by tests and fuzz targets; never part of the program.

#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

pub mod gateway;

pub mod client;
pub mod invariants;
pub mod link;
pub mod scene;
pub mod world;
