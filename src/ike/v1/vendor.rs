//! Vendor IDs: which we send, and what the peer's say of it. A capability never decides whether somebody is authenticated.

use serde::{Deserialize, Serialize};

use crate::ike::profile::Profile;
use crate::ike::v1::header::PayloadType;

/// How NAT detection travels (RFC 3947 and the drafts before it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum NatTraversal {
    /// RFC 3947: payload 20, encapsulation mode 3.
    Rfc3947,
    /// Drafts 02 and 03: payload 130, mode 61443.
    Draft,
}

impl NatTraversal {
    /// The number of the NAT detection payload.
    pub(super) const fn detection_payload(self) -> PayloadType {
        match self {
            Self::Rfc3947 => PayloadType::NAT_DETECTION,
            Self::Draft => PayloadType::DRAFT_NAT_DETECTION,
        }
    }

    /// The number of UDP-encapsulated tunnel mode (RFC 3947 §5.1).
    pub(super) const fn tunnel_mode(self) -> u16 {
        match self {
            Self::Rfc3947 => 3,
            Self::Draft => 61_443,
        }
    }
}

/// What the peer announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerCapabilities {
    /// The best that both know.
    pub(super) nat_traversal: Option<NatTraversal>,
    pub(super) dpd: bool,
    pub(super) xauth: bool,
    pub(super) unity: bool,
    pub(super) fragmentation: bool,
}

/// MD5 of "RFC 3947".
const RFC_3947: u128 = 0x4a13_1c81_0703_5845_5c57_28f2_0e95_452f;
/// MD5 of "draft-ietf-ipsec-nat-t-ike-03".
const DRAFT_03: u128 = 0x7d94_19a6_5310_ca6f_2c17_9d92_1552_9d56;
/// MD5 of "draft-ietf-ipsec-nat-t-ike-02" and a line feed, as the draft itself has it.
const DRAFT_02_N: u128 = 0x90cb_8091_3ebb_696e_0863_81b5_ec42_7b1f;
/// MD5 of "draft-ietf-ipsec-nat-t-ike-02".
const DRAFT_02: u128 = 0xcd60_4643_35df_21f8_7cfd_b2fc_68b6_a448;
/// RFC 3706 §5.1; the last two octets are major and minor version.
const DPD: u128 = 0xafca_d713_68a1_f1c9_6b86_96fc_7757_0100;
/// Cisco's Unity, version 1.0 in the last two octets.
const UNITY: u128 = 0x12f5_f28c_4571_68a9_702d_9fe2_74cc_0100;
/// MD5 of "FRAGMENTATION"; some add a word of capabilities.
const FRAGMENTATION: u128 = 0x4048_b7d5_6ebc_e885_25e7_de7f_00d6_c2d3;
/// Fragments in main and aggressive mode.
const FRAGMENTATION_CAPABILITIES: [u8; 4] = [0x80, 0, 0, 0];
/// draft-beaulieu-ike-xauth-02 §4.
const XAUTH: [u8; 8] = [0x09, 0x00, 0x26, 0x89, 0xdf, 0xd6, 0xb7, 0x12];

/// What we send in the first message.
pub(super) fn ours(profile: &Profile, xauth: bool) -> Vec<Vec<u8>> {
    let mut ids: Vec<Vec<u8>> =
        [RFC_3947, DRAFT_03, DRAFT_02_N, DRAFT_02, DPD].iter().map(|id| id.to_be_bytes().to_vec()).collect();
    if xauth {
        ids.push(XAUTH.to_vec());
    }
    if profile.request.asks() {
        ids.push(UNITY.to_be_bytes().to_vec());
    }
    if profile.fragmentation.is_some() {
        ids.push([FRAGMENTATION.to_be_bytes().as_slice(), &FRAGMENTATION_CAPABILITIES].concat());
    }
    ids
}

impl PeerCapabilities {
    /// Adds what these say.
    pub(super) fn learn(&mut self, vendor_ids: &[Vec<u8>]) {
        for id in vendor_ids {
            self.learn_one(id);
        }
    }

    fn learn_one(&mut self, id: &[u8]) {
        if id == XAUTH {
            self.xauth = true;
        }
        let Some((known, rest)) = id.split_first_chunk() else { return };
        let known = u128::from_be_bytes(*known);
        match known {
            RFC_3947 if rest.is_empty() => self.learn_nat_traversal(NatTraversal::Rfc3947),
            DRAFT_03 | DRAFT_02_N | DRAFT_02 if rest.is_empty() => self.learn_nat_traversal(NatTraversal::Draft),
            FRAGMENTATION => self.fragmentation = true,
            _ if same_but_last_octets(known, DPD) => self.dpd = true,
            _ if same_but_last_octets(known, UNITY) => self.unity = true,
            _ => {}
        }
    }

    /// The RFC is better than its drafts, whatever the order in which they come.
    fn learn_nat_traversal(&mut self, way: NatTraversal) {
        self.nat_traversal = Some(self.nat_traversal.map_or(way, |known| known.min(way)));
    }
}

const fn same_but_last_octets(one: u128, other: u128) -> bool {
    one >> 16 == other >> 16
}

#[cfg(test)]
mod tests;
