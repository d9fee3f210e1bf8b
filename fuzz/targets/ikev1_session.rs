//! Stories of IKEv1: see `vpnd_fuzz::scene`. Main and aggressive mode, XAUTH, Mode Config both ways, quick modes of both sides.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vpnd::{
    crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection},
    ike::{
        action::SessionStatus,
        profile::{Phase1Mode, Profile},
    },
    sa::suite::Group,
    sim::{
        gateway_v1::{
            Commit, Gateway, GatewaySettings, NatDialect, Unique,
            impair::{Deed, Impairment, SaChange, ValueChange},
            octets::{Attribute, Header, Payload, write_chain},
        },
        scene::{self, Suites},
    },
};
use vpnd_fuzz::{
    Story,
    scene::{Protocol, tell},
};

const CBC: Protection =
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };
const TRIPLE_DES: Protection = Protection::CbcHmac { encryption: Cbc::TripleDes, integrity: Integrity::HmacSha1_96 };
const GCM: Protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));

/// For phase 1 and for ESP.
const PROTECTIONS: &[(Protection, Protection)] = &[(CBC, CBC), (CBC, GCM), (TRIPLE_DES, TRIPLE_DES)];

const UNAUTHENTIC: &[Impairment] = &[
    Impairment::WrongPsk,
    Impairment::WrongIdentity,
    Impairment::NoHash,
    Impairment::WrongHash,
    Impairment::ShortHash,
];

const OTHERWISE_WRONG: &[Impairment] = &[
    Impairment::Twice,
    Impairment::NoProposal,
    Impairment::Sa(SaChange::TwoTransforms),
    Impairment::Sa(SaChange::WithoutAttribute(14)),
    Impairment::Sa(SaChange::OtherForm),
    Impairment::KeyExchange(ValueChange::Zero),
    Impairment::KeyExchange(ValueChange::Length(255)),
    Impairment::Nonce(ValueChange::Length(7)),
    Impairment::Nonce(ValueChange::Echoed),
    Impairment::SwappedCookies,
    Impairment::SwitchedExchange,
    Impairment::ReservedNonzero,
    Impairment::NoNatTraversal,
    Impairment::UninvitedXauth,
    Impairment::XauthFails,
    Impairment::NoConfiguration,
    Impairment::WrongIdentifier,
    Impairment::WrongTransactionHash,
    Impairment::RefuseQuick(14),
    Impairment::SilentQuick,
    Impairment::QuickSa(SaChange::TwoProposals),
    Impairment::QuickSa(SaChange::Spi(7)),
    Impairment::WrongQuickHash,
    Impairment::QuickOrder,
    Impairment::NoQuickKeyExchange,
    Impairment::UnaskedQuickKeyExchange,
    Impairment::NoQuickIdentities,
    Impairment::CommitForever,
    Impairment::ResponderLifetime(60),
    Impairment::FragmentZero,
    Impairment::FragmentsMixed,
    Impairment::FragmentsEndless,
    Impairment::FragmentsOverlapping,
    Impairment::FragmentsReversed,
    Impairment::IgnoreProbes,
    Impairment::WrongProbeAnswer,
    // In aggressive mode there is nothing wrong with these.
    Impairment::LastInClear,
    Impairment::ReflectedHash,
];

fuzz_target!(|data: &[u8]| tell::<Ikev1>(data));

struct Ikev1;

impl Protocol for Ikev1 {
    type Gateway = Gateway;

    fn suites(story: &mut Story<'_>) -> Suites {
        let group = story.choose(&[Group::Ecp256, Group::Modp1024]);
        let (ike, esp) = story.choose(PROTECTIONS);
        Suites { esp, ..Suites::of(ike, group) }
    }

    fn gateway(suites: Suites, story: &mut Story<'_>) -> (GatewaySettings, bool) {
        let mut settings = scene::gateway_v1(suites);
        let kind = story.octet();
        settings.push = kind & 1 != 0;
        settings.xauth = (kind & 2 != 0).then(scene::account);
        if let Some(account) = settings.xauth.as_mut().filter(|_| kind & 4 != 0) {
            account.one_by_one = true;
        }
        settings.pfs = (kind & 8 != 0).then_some(suites.ike.group);
        settings.nat = story.choose(&[NatDialect::Rfc, NatDialect::Draft02, NatDialect::Draft03]);
        settings.fragment = story.choose(&[None, Some(200), Some(500)]);
        settings.dpd = story.choose(&[None, Some(Duration::from_secs(10))]);
        settings.commit = story.choose(&[None, Some(Commit::SameId), Some(Commit::OwnId)]);
        settings.unique = story.choose(&[Unique::Replace, Unique::Never, Unique::Independent]);
        settings.rekeys = story.choose(&[None, Some(Duration::from_secs(40))]);
        let wrong = story.octet();
        let place = usize::from(story.octet());
        let unauthentic = wrong & 7 == 7;
        if unauthentic {
            settings.impairments.push(UNAUTHENTIC[place % UNAUTHENTIC.len()].clone());
        } else if wrong & 7 == 6 {
            settings.impairments.push(OTHERWISE_WRONG[place % OTHERWISE_WRONG.len()].clone());
        }
        (settings, unauthentic)
    }

    fn profile(suites: Suites, story: &mut Story<'_>) -> Profile {
        let kind = story.octet();
        let mode = if kind & 1 == 0 { Phase1Mode::Main } else { Phase1Mode::Aggressive };
        let mut profile = scene::client_v1(suites, mode, kind & 2 != 0).profile;
        profile.local_identity = vpnd::ike::identity::Identity::Fqdn("replica-1.example".into());
        profile.remote_identities = vec![vpnd::ike::identity::Identity::Fqdn("gateway.example".into())];
        profile.fragmentation = story.choose(&[Some(1280), None, Some(300)]);
        if kind & 4 != 0 {
            profile.ike_lifetime.time = Some(Duration::from_secs(120));
            profile.child.lifetime.time = Some(Duration::from_secs(60));
        }
        if kind & 8 != 0 {
            profile.child.offers.iter_mut().for_each(|offer| offer.pfs = vec![suites.ike.group]);
        }
        profile
    }

    fn invent(status: &SessionStatus, story: &mut Story<'_>) -> Vec<u8> {
        let (initiator, responder) = status.spis;
        let responder = responder.map_or([0; 8], |cookie| cookie.to_octets());
        let header = Header {
            cky_i: initiator.to_octets(),
            cky_r: if story.octet() & 3 == 0 { [9; 8] } else { responder },
            exchange: story.choose(&[2, 4, 5, 6, 32, 34]),
            flags: story.choose(&[0, 1, 2, 3, 0xff]),
            id: story.choose(&[0, 0, 1, 0x1234_5678]),
        };
        // Chains with lengths that are right, and octets that may be anything.
        if story.octet() & 1 == 0 {
            let payloads = payloads(story);
            header.write(payloads.first().map_or(0, |(kind, _)| *kind), &write_chain(&payloads))
        } else {
            header.write(story.octet(), story.octets())
        }
    }

    fn mean_harm(gateway: &mut Gateway, story: &mut Story<'_>) {
        let deed = match story.octet() % 20 {
            0 => Deed::Protected(story.choose(&[5, 5, 6, 32]), payloads(story)),
            1 => Deed::Protected(story.octet(), payloads(story)),
            2 => Deed::WrongHash(payloads(story)),
            3 => Deed::WithoutHash(payloads(story)),
            4 => Deed::Clear(payloads(story)),
            5 => Deed::ClearDelete,
            6 => Deed::ClearProbe,
            7 => Deed::ProbeOfAnother,
            8 => Deed::Lifetime(story.number().into()),
            9 => Deed::ClearLifetime(story.number().into()),
            10 => Deed::Replay,
            11 => Deed::Rekey,
            12 => Deed::QuickFor((story.octet(), story.octets().to_vec()), (story.octet(), story.octets().to_vec())),
            13 => Deed::QuickWithOddProposal,
            14 => Deed::Push(attributes(story)),
            15 => Deed::XauthAgain,
            16 => Deed::DeleteTwice,
            17 => Deed::DeleteThenNotify,
            18 => Deed::DeleteIke,
            _ => Deed::DeleteAll,
        };
        gateway.settings_mut().impairments.push(Impairment::After(Duration::ZERO, deed));
    }

    fn forget(gateway: &mut Gateway) {
        gateway.forget();
    }
}

fn payloads(story: &mut Story<'_>) -> Vec<Payload> {
    (0..story.octet() % 4).map(|_| (story.octet(), story.octets().to_vec())).collect()
}

fn attributes(story: &mut Story<'_>) -> Vec<Attribute> {
    (0..story.octet() % 6).map(|_| Attribute::long(story.number() & 0x7fff, story.octets())).collect()
}
