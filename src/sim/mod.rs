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
pub mod story;
pub mod world;

use std::net::{IpAddr, SocketAddr};

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
    /// It has DF: where it is too long for the link, it is lost rather than cut.
    pub whole: bool,
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

    /// Does this now, or as soon as it can.
    fn act(&mut self, now: Instant, deed: Deed);

    /// What stands.
    fn standing(&self) -> Standing;
}

/// What a gateway of either protocol can do of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Rekeys the child.
    RekeyChild,
    /// Rekeys the IKE SA, if its protocol lets a responder.
    RekeyIke,
    /// Deletes the child.
    DeleteChild,
    /// Deletes the IKE SA with all that belongs to it.
    DeleteIke,
    /// Loses the children without a word.
    ForgetChildren,
    /// Restarts without memory.
    Forget,
    /// Hears nothing from now on, and says nothing.
    FallSilent,
    /// Hears again.
    Listen,
    /// Has this address from now on.
    Move(IpAddr),
    /// Means none of what it has not done yet.
    Calm,
}

/// SAs at a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// IKE SAs.
    pub ikes: usize,
    /// Children, those in their time of grace not counted.
    pub children: usize,
}

impl std::ops::Add for Standing {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { ikes: self.ikes + other.ikes, children: self.children + other.children }
    }
}
