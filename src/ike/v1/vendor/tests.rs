use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::crypto::secret::Secret;
use crate::ike::identity::Identity;
use crate::ike::profile::{AddressRequest, ChildProfile, Protocol, RetransmissionPolicy};
use crate::sa::lifetime::Lifetime;

fn profile(address: Option<Ipv4Addr>, fragmentation: Option<u16>) -> Profile {
    Profile {
        protocol: Protocol::Ikev2,
        local_identity: Identity::Fqdn("replica.example".into()),
        remote_identities: vec![Identity::Fqdn("gateway.example".into())],
        send_remote_identity: false,
        psk: Arc::new(Secret::copy_of(b"not a secret")),
        ike_offers: vec![],
        ike_lifetime: Lifetime::default(),
        request: AddressRequest { ipv4: address, ..AddressRequest::default() },
        child: ChildProfile {
            first_id: crate::sa::command::ChildId(0),
            offers: vec![],
            local: vec![],
            remote: vec![],
            lifetime: Lifetime::default(),
            replay_window: 64,
            verify_pfs: false,
        },
        encapsulation_port: 4500,
        retransmission: RetransmissionPolicy::default(),
        dpd: None,
        keepalive: Duration::from_secs(20),
        fragmentation,
        initial_contact: false,
        mobike: false,
        nonce_len: 32,
    }
}

const RFC: [u8; 16] = [0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e, 0x95, 0x45, 0x2f];
const DPD_1_0: [u8; 16] =
    [0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57, 0x01, 0x00];

fn learned(ids: &[Vec<u8>]) -> PeerCapabilities {
    let mut capabilities = PeerCapabilities::default();
    capabilities.learn(ids);
    capabilities
}

#[test]
fn k1_024_all_ways_of_nat_traversal_and_dpd_are_announced_always() {
    let ids = ours(&profile(None, None), false);
    assert_eq!(ids.len(), 5);
    assert_eq!((ids[0].as_slice(), ids[4].as_slice()), (&RFC[..], &DPD_1_0[..]));
    let expected =
        PeerCapabilities { nat_traversal: Some(NatTraversal::Rfc3947), dpd: true, ..PeerCapabilities::default() };
    assert_eq!(learned(&ids), expected);
}

#[test]
fn the_other_vendor_ids_are_announced_when_there_is_a_use_for_them() {
    let address = Some(Ipv4Addr::UNSPECIFIED);
    for (xauth, unity, fragmentation) in (0..8).map(|mask: u8| (mask & 1 != 0, mask & 2 != 0, mask & 4 != 0)) {
        let profile = profile(address.filter(|_| unity), fragmentation.then_some(1280));
        let known = learned(&ours(&profile, xauth));
        let nat_traversal = Some(NatTraversal::Rfc3947);
        assert_eq!(known, PeerCapabilities { nat_traversal, dpd: true, xauth, unity, fragmentation });
    }
    let ids = ours(&profile(address, Some(1280)), true);
    assert_eq!(ids[5], [0x09, 0x00, 0x26, 0x89, 0xdf, 0xd6, 0xb7, 0x12]);
    assert_eq!(ids[6][..4], [0x12, 0xf5, 0xf2, 0x8c]);
    assert_eq!((ids[7].len(), &ids[7][..4], &ids[7][16..]), (20, &[0x40, 0x48, 0xb7, 0xd5][..], &[0x80, 0, 0, 0][..]));
}

#[test]
fn k1_024_the_rfc_is_better_than_its_drafts_in_any_order() {
    let drafts = [DRAFT_03, DRAFT_02, DRAFT_02_N].map(|id| id.to_be_bytes().to_vec());
    for draft in &drafts {
        assert_eq!(learned(std::slice::from_ref(draft)).nat_traversal, Some(NatTraversal::Draft));
        for both in [[draft.clone(), RFC.to_vec()], [RFC.to_vec(), draft.clone()]] {
            assert_eq!(learned(&both).nat_traversal, Some(NatTraversal::Rfc3947));
        }
    }
    let mut in_two_messages = learned(&[RFC.to_vec()]);
    in_two_messages.learn(&drafts);
    assert_eq!(in_two_messages.nat_traversal, Some(NatTraversal::Rfc3947));
}

#[test]
fn k1_016_dpd_and_unity_are_known_in_every_version_of_theirs() {
    for (id, dpd) in [(DPD, true), (UNITY, false)] {
        for place in 0..16 {
            let mut other = id.to_be_bytes().to_vec();
            other[place] ^= 0x40;
            let known = learned(&[other]);
            assert_eq!((known.dpd, known.unity), (dpd && place >= 14, !dpd && place >= 14), "{place}");
        }
    }
}

#[test]
fn k1_026_fragmentation_is_known_with_and_without_capabilities() {
    for capabilities in [&[][..], &[0x80, 0, 0, 0], &[0xc0, 0, 0, 0], &[1]] {
        let id = [FRAGMENTATION.to_be_bytes().as_slice(), capabilities].concat();
        assert!(learned(&[id]).fragmentation);
    }
}

#[test]
fn vendor_ids_that_are_unknown_cut_short_or_longer_mean_nothing() {
    let ids = ours(&profile(Some(Ipv4Addr::UNSPECIFIED), Some(1280)), true);
    for id in &ids {
        for end in (0..id.len()).filter(|end| *end < 16) {
            assert_eq!(learned(&[id[..end].to_vec()]), PeerCapabilities::default(), "{end}");
        }
    }
    for id in [RFC.to_vec(), DRAFT_03.to_be_bytes().to_vec(), XAUTH.to_vec()] {
        assert_eq!(learned(&[[id, vec![0]].concat()]), PeerCapabilities::default());
    }
    assert_eq!(learned(&[vec![0x55; 16], vec![], vec![9; 1000]]), PeerCapabilities::default());
}
