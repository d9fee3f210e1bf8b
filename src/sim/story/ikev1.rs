//! Beginnings of stories with an IKEv1 gateway.

use std::net::IpAddr;

use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection};
use crate::ike::profile::Phase1Mode;
use crate::sa::suite::{Group, Prf};
use crate::sim::gateway_v1::{Commit, Gateway, GatewaySettings, NatDialect, Unique};
use crate::sim::scene::{self, Suites};
use crate::sim::world::Scene;

use super::choices::Choices;
use super::{Character, Pace, lifetimes};

const CIPHERS: [Cbc; 4] =
    [Cbc::Aes(AesKey::Aes256), Cbc::Aes(AesKey::Aes128), Cbc::Aes(AesKey::Aes192), Cbc::TripleDes];

const HASHES: [(Prf, Integrity); 4] = [
    (Prf::HmacSha256, Integrity::HmacSha256_128),
    (Prf::HmacSha1, Integrity::HmacSha1_96),
    (Prf::HmacSha384, Integrity::HmacSha384_192),
    (Prf::HmacSha512, Integrity::HmacSha512_256),
];

fn suites(choices: &mut impl Choices) -> Suites {
    // Slow groups are met now and then: what they could break does not depend on the link.
    let group = match choices.below(250) {
        249 => Group::Modp2048,
        248 => Group::Ecp384,
        247 => Group::Modp1024,
        _ => Group::Ecp256,
    };
    let (prf, integrity) = choices.one_of(&HASHES);
    let mut suites = Suites::of(Protection::CbcHmac { encryption: choices.one_of(&CIPHERS), integrity }, group);
    suites.ike.prf = prf;
    let encryption = choices.one_of(&CIPHERS);
    suites.esp = choices.one_of(&[
        suites.esp,
        Protection::CbcHmac { encryption, integrity: Integrity::HmacSha256_128 },
        Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)),
        Protection::Aead(Aead::AesGcm(AesKey::Aes128, GcmIcv::Twelve)),
    ]);
    suites.esn = choices.heads();
    suites
}

impl Character for Gateway {
    // RFC 2409 §5.7: an informational exchange is one message.
    const DELETES_ARE_ANSWERED: bool = false;

    // RFC 2408 §5.15: nobody has to answer for a delete, so that replaced ones stay until their time is over, up to a bound of ours. A session
    // whose goodbye was lost leaves its own, which the gateway takes over into the next that comes from the same port.
    fn most_children(sessions: usize) -> usize {
        5 * sessions
    }

    fn scene(choices: &mut impl Choices, pace: Pace) -> Scene<Self> {
        let suites = suites(choices);
        let mut scene = scene::plain_v1(suites, choices.below(1 << 16));
        let mode = if choices.heads() { Phase1Mode::Aggressive } else { Phase1Mode::Main };
        let with_name = choices.heads();
        scene.client = scene::client_v1(suites, mode, with_name);
        if with_name {
            scene.gateway.xauth = Some(scene::account());
        }
        if choices.heads() {
            scene::with_pfs(&mut scene, Group::Ecp256);
        }
        scene.nat = choices.heads();
        let gateway = &mut scene.gateway;
        let profile = &mut scene.client.profile;
        gateway.push = choices.heads();
        gateway.nat = choices.one_of(&[NatDialect::Rfc, NatDialect::Rfc, NatDialect::Draft02, NatDialect::Draft03]);
        gateway.unique = choices.one_of(&[Unique::Replace, Unique::Independent]);
        gateway.commit = choices.one_of(&[None, None, Some(Commit::OwnId), Some(Commit::SameId)]);
        if choices.heads() {
            gateway.fragment = Some(60 + choices.below(200) as usize);
            profile.fragmentation = Some(576);
        }
        if choices.heads() {
            gateway.dpd = Some(pace.silence(choices));
        }
        gateway.rekeys = pace.lifetime(choices).map(|time| time + pace.unit * 15);
        let (child, ike) = (profile.child.lifetime.time, profile.ike_lifetime.time);
        lifetimes(profile, choices, pace);
        profile.child.lifetime.time = profile.child.lifetime.time.map(|time| time + pace.unit * 30).or(child);
        profile.ike_lifetime.time = profile.ike_lifetime.time.map(|time| time + pace.unit * 60).or(ike);
        if choices.heads() {
            scene.client.first_port = 4500;
        }
        scene.client.profile.initial_contact = choices.heads();
        scene
    }

    fn twin(settings: &GatewaySettings, address: IpAddr) -> GatewaySettings {
        GatewaySettings { address, ..settings.clone() }
    }

    fn notices(settings: &GatewaySettings) -> bool {
        settings.dpd.is_some() && settings.unique == Unique::Replace
    }
}
