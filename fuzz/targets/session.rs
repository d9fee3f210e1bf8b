//! Stories of IKEv2: see `vpnd_fuzz::scene`.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vpnd::{
    crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection},
    ike::{
        action::SessionStatus,
        identity::Identity,
        profile::Profile,
        wire::{
            header::{Flags, Header},
            registry::{ExchangeType, PayloadType},
        },
    },
    sa::suite::Group,
    sim::{
        gateway::{Gateway, GatewaySettings, impair::Impairment},
        scene::{self, Suites},
    },
};
use vpnd_fuzz::{
    Story,
    scene::{Protocol, tell},
};

const PROTECTIONS: &[Protection] = &[
    Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)),
    Protection::Aead(Aead::ChaCha20Poly1305),
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes128), integrity: Integrity::HmacSha256_128 },
];

const UNAUTHENTIC: &[Impairment] = &[
    Impairment::WrongPsk,
    Impairment::WrongIdentity,
    Impairment::Eap,
    Impairment::NoAuth,
    Impairment::RsaMethod,
    Impairment::ShortAuth,
];

const OTHERWISE_WRONG: &[Impairment] = &[
    Impairment::CookieForever,
    Impairment::UnofferedGroup,
    Impairment::GroupForever,
    Impairment::NoProposal,
    Impairment::ExtraTransform,
    Impairment::MissingTransform,
    Impairment::WrongNumber,
    Impairment::EchoNonce,
    Impairment::EchoKeyExchange,
    Impairment::ZeroKeyExchange,
    Impairment::ShortNonce,
    Impairment::RefuseChild(38),
    Impairment::WiderSelectors,
    Impairment::ReservedSpi,
    Impairment::LoopbackAddress,
    Impairment::NoAddress,
    Impairment::TransportMode,
    Impairment::CriticalPayload,
    Impairment::RefuseClient,
    Impairment::OddOrder,
];

fuzz_target!(|data: &[u8]| tell::<Ikev2>(data));

struct Ikev2;

impl Protocol for Ikev2 {
    type Gateway = Gateway;

    fn suites(story: &mut Story<'_>) -> Suites {
        let group = story.choose(&[Group::Curve25519, Group::Ecp256]);
        Suites::of(story.choose(PROTECTIONS), group)
    }

    fn gateway(suites: Suites, story: &mut Story<'_>) -> (GatewaySettings, bool) {
        let mut settings = scene::gateway(suites);
        settings.cookie = story.octet() & 3 == 1;
        settings.fragment = story.choose(&[None, None, Some(200), Some(576)]);
        settings.dpd = story.choose(&[None, Some(Duration::from_secs(10))]);
        let kind = story.octet();
        let unauthentic = kind & 7 == 7;
        if unauthentic {
            settings.impairments.push(UNAUTHENTIC[usize::from(story.octet()) % UNAUTHENTIC.len()].clone());
        } else if kind & 7 == 6 {
            settings.impairments.push(OTHERWISE_WRONG[usize::from(story.octet()) % OTHERWISE_WRONG.len()].clone());
        }
        // What is left of the octet says what is rekeyed, and with which group.
        settings.child_rekey = (kind & 8 != 0).then_some(Duration::from_secs(7));
        settings.ike_rekey = (kind & 16 != 0).then_some(Duration::from_secs(11));
        settings.pfs = (kind & 32 != 0).then_some(suites.ike.group);
        match kind >> 6 {
            1 => settings.impairments.push(Impairment::NarrowRekey),
            2 => settings.impairments.push(Impairment::RefuseRekey(story.choose(&[43, 44, 35, 14, 17, 7, 9999]))),
            _ => {}
        }
        (settings, unauthentic)
    }

    fn profile(suites: Suites, story: &mut Story<'_>) -> Profile {
        let mut whole = scene::client(suites).profile;
        let habits = story.octet();
        whole.child.lifetime.time = (habits & 2 != 0).then_some(Duration::from_secs(12));
        whole.ike_lifetime.time = (habits & 4 != 0).then_some(Duration::from_secs(15));
        whole.child.verify_pfs = habits & 8 != 0;
        whole.child.offers[0].pfs = if habits & 16 != 0 { vec![suites.ike.group] } else { Vec::new() };
        Profile {
            local_identity: Identity::Fqdn("replica-1.example".into()),
            remote_identities: vec![Identity::Fqdn("gateway.example".into())],
            send_remote_identity: habits & 1 != 0,
            fragmentation: story.choose(&[Some(1280), None, Some(300)]),
            ..whole
        }
    }

    fn invent(status: &SessionStatus, story: &mut Story<'_>) -> Vec<u8> {
        let (initiator_spi, responder_spi) = status.spis;
        let header = Header {
            initiator_spi,
            responder_spi: if story.octet() & 1 == 0 { responder_spi } else { Some(initiator_spi) },
            next_payload: PayloadType(story.octet()),
            major: story.choose(&[2, 2, 2, 1, 3]),
            minor: 0,
            exchange: ExchangeType(story.choose(&[34, 35, 36, 37, 43])),
            flags: Flags { initiator: story.octet() & 7 == 0, response: story.octet() & 1 == 0 },
            message_id: story.choose(&[0, 1, 2, 3, u32::MAX]),
        };
        let payloads = story.octets();
        let mut message = header.write(payloads.len()).expect("shorter than the longest message");
        message.extend_from_slice(payloads);
        message
    }

    fn mean_harm(gateway: &mut Gateway, story: &mut Story<'_>) {
        let exchange = story.choose(&[34, 35, 36, 37, 43, 44]);
        let in_clear = story.octet() & 7 == 0;
        let mut payloads = Vec::new();
        for _ in 0..story.octet() % 4 {
            payloads.push((story.octet(), story.octets().to_vec()));
        }
        let impairments = &mut gateway.settings_mut().impairments;
        impairments.push(match (in_clear, story.octet() & 7) {
            (true, _) => Impairment::InClear(Duration::ZERO, payloads),
            (false, 0) => Impairment::DeleteIkeAfter(Duration::ZERO),
            (false, 1) => Impairment::DeleteChildAfter(Duration::ZERO),
            (false, 2) => Impairment::RekeyChildAfter(Duration::ZERO),
            (false, 3) => Impairment::RekeyIkeAfter(Duration::ZERO),
            (false, _) => Impairment::RequestAfter(Duration::ZERO, exchange, payloads),
        });
    }

    fn forget(gateway: &mut Gateway) {
        gateway.forget();
    }
}
