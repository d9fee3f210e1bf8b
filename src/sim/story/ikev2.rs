//! Beginnings of stories with an IKEv2 gateway.

use std::net::IpAddr;

use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection};
use crate::sa::suite::{Group, Prf};
use crate::sim::gateway::{Gateway, GatewaySettings};
use crate::sim::scene::{self, Suites};
use crate::sim::world::Scene;

use super::choices::Choices;
use super::{Character, Pace, lifetimes};

const PROTECTIONS: [Protection; 3] = [
    Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)),
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 },
    Protection::Aead(Aead::ChaCha20Poly1305),
];

impl Character for Gateway {
    const DELETES_ARE_ANSWERED: bool = true;

    fn most_children(_sessions: usize) -> usize {
        1
    }

    fn scene(choices: &mut impl Choices, pace: Pace) -> Scene<Self> {
        // Slow groups are met now and then: what they could break does not depend on the link.
        let group = match choices.below(200) {
            199 => Group::Modp2048,
            198 => Group::Ecp384,
            180..198 => Group::Ecp256,
            _ => Group::Curve25519,
        };
        let mut suites = Suites::of(choices.one_of(&PROTECTIONS), group);
        suites.ike.prf = choices.one_of(&[Prf::HmacSha256, Prf::HmacSha384, Prf::HmacSha512]);
        suites.esn = choices.heads();
        let mut scene = scene::plain(suites, choices.below(1 << 16));
        scene.nat = choices.heads();
        let gateway = &mut scene.gateway;
        let profile = &mut scene.client.profile;
        gateway.cookie = choices.heads();
        if choices.heads() {
            gateway.fragment = Some(60 + choices.below(200) as usize);
            profile.fragmentation = Some(576);
        }
        if choices.heads() {
            gateway.dpd = Some(pace.silence(choices));
        }
        if choices.heads() {
            scene.client.first_port = 4500;
        }
        if choices.heads() {
            // The client guesses a group that the gateway does not take.
            let guess = if group == Group::Curve25519 { Group::Ecp256 } else { Group::Curve25519 };
            profile.ike_offers[0].groups.insert(0, guess);
        }
        profile.initial_contact = choices.heads();
        lifetimes(profile, choices, pace);
        gateway.child_rekey = pace.lifetime(choices);
        gateway.ike_rekey = pace.lifetime(choices);
        if choices.heads() {
            let group = choices.one_of(&[Group::Curve25519, Group::Ecp256]);
            gateway.pfs = Some(group);
            profile.child.offers[0].pfs = vec![Group::Curve25519, group];
        }
        scene
    }

    fn twin(settings: &GatewaySettings, address: IpAddr) -> GatewaySettings {
        GatewaySettings { address, ..settings.clone() }
    }

    fn notices(settings: &GatewaySettings) -> bool {
        settings.dpd.is_some()
    }
}
