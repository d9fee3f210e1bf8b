//! Stories in the simulated world. `VPND_SIM_SEEDS=n` changes how many are told, `VPND_SIM_SEED=n` tells one again.

#![allow(missing_docs)]

mod behaviour;
mod flood;
#[cfg(feature = "daemon")]
mod handover;
mod ikev1;
mod ikev2;
mod memory;
mod network;
mod one_way;
mod path;
mod roaming;
mod stories;
mod succession;
mod sweep;

use std::time::Duration;

use vpnd::ike::action::Failure;
use vpnd::sa::suite::{Aead, Cbc, Group, Integrity, Protection};
use vpnd::sim::Peer;
use vpnd::sim::gateway::impair::Impairment;
use vpnd::sim::scene::{self, Suites};
use vpnd::sim::world::World;
use vpnd::tunnel::Reason;
use vpnd::tunnel::progress::Progress;

const MINUTE: Duration = Duration::from_secs(60);

fn gcm() -> Protection {
    Protection::Aead(Aead::AesGcm(vpnd::crypto::cipher::AesKey::Aes256, vpnd::crypto::cipher::GcmIcv::Sixteen))
}

fn cbc() -> Protection {
    Protection::CbcHmac {
        encryption: Cbc::Aes(vpnd::crypto::cipher::AesKey::Aes256),
        integrity: Integrity::HmacSha256_128,
    }
}

/// The suite of most stories: its computations are fast.
fn quick() -> Suites {
    Suites::of(gcm(), Group::Curve25519)
}

/// A good link, a gateway that does `impairments`.
fn impaired(impairments: Vec<Impairment>) -> World {
    let mut scene = scene::plain(quick(), 1);
    scene.gateway.impairments = impairments;
    World::new(scene)
}

/// Sends pings, a tenth of a second apart, and says how many came back.
fn pings<G: Peer>(world: &mut World<G>, count: u64) -> u64 {
    let before = world.echoes().1;
    for _ in 0..count {
        world.ping();
        world.run(Duration::from_millis(100));
    }
    world.echoes().1 - before
}

/// Another session took the place of one whose gateway had fallen silent.
fn succeeded_in_silence<G: Peer>(world: &World<G>) -> bool {
    let is_it = |progress: &Progress| matches!(progress, Progress::Succeeded { reason: Reason::Silence, .. });
    world.told().into_iter().any(is_it)
}

/// Why sessions ended, in order.
fn failures<G: Peer>(world: &World<G>) -> Vec<&Failure> {
    let told = world.told().into_iter();
    told.filter_map(|progress| if let Progress::Down { failure, .. } = progress { Some(failure) } else { None })
        .collect()
}
