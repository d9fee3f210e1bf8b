//! vpnd against a real strongSwan gateway, in network namespaces of this machine.
//!
//! Needs root, `/dev/net/tun` and what `scripts/install-deps.sh` installs; a test that
//! lacks them fails and says so. Every test makes a lab of its own (`lab.sh`), so tests
//! run side by side, and a lab takes everything with it when it is dropped.

// Real programs are waited for in real time.
#![allow(clippy::disallowed_methods)]

mod bridge;
mod capture;
mod failure;
mod flood;
mod gateway;
mod grid;
mod lab;
mod load;
mod names;
mod vpnd;

mod cleanup;
mod handover;
mod handshake;
mod identities;
mod idle;
mod ikev1;
mod impaired;
mod killswitch;
mod matrix;
mod path_mtu;
mod refusals;
mod rekeying;
mod reload;
mod replicas;
mod roaming;
mod sandbox;
mod succession;
mod traffic;
