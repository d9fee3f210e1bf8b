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
pub mod gateway_v1;

pub mod client;
pub mod esp;
pub mod hostile;
pub mod invariants;
pub mod link;
pub mod scene;
pub mod world;

use std::net::SocketAddr;

use crate::time::Instant;

/// A UDP datagram on the simulated wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// What UDP carries.
    pub octets: Vec<u8>,
}

/// The other side of a story, whichever protocol it speaks.
pub trait Peer {
    /// What it is set up with.
    type Settings;

    /// Every choice of it follows from the seed.
    fn new(settings: Self::Settings, seed: u64) -> Self;

    /// When it wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Time has come.
    fn handle_timeout(&mut self, now: Instant);

    /// A datagram from the wire. Returns the inner packet when it was ESP for it.
    fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) -> Option<Vec<u8>>;

    /// What it wants to send.
    fn poll_datagram(&mut self) -> Option<Datagram>;

    /// Sends an inner packet to the client whose selectors hold its destination; says whether there is one.
    fn send_packet(&mut self, packet: &[u8]) -> bool;

    /// How many SAs it authenticated.
    fn authenticated(&self) -> u64;
}
