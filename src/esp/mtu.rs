//! How large a packet may be so that it leaves as one datagram that fits the link.

use std::net::IpAddr;

use crate::{crypto::cipher::Protection, esp::layout::Layout};

/// IPv6 does not work on a link with less (RFC 8200 §5).
pub const MIN_MTU_V6: u16 = 1280;
/// IPv4 hosts must take this much (RFC 791 §3.1); less is not believed.
pub const MIN_MTU_V4: u16 = 576;

const UDP: usize = 8;

/// MTU of the TUN device: the largest inner packet whose ESP-in-UDP datagram to `remote` fits into `link_mtu` octets, headers included.
/// Zero if there is none.
pub fn tunnel_mtu(link_mtu: u16, remote: IpAddr, protection: Protection) -> u16 {
    let outer_header: usize = if remote.is_ipv4() { 20 } else { 40 };
    let esp = usize::from(link_mtu).saturating_sub(outer_header).saturating_sub(UDP);
    u16::try_from(Layout::of(protection).inner_len(esp)).unwrap_or(u16::MAX)
}

/// The largest TCP segment over IPv4 without options in a packet of `mtu` octets.
pub const fn mss_v4(mtu: u16) -> u16 {
    mtu.saturating_sub(40)
}

/// The largest TCP segment over IPv6 without extension headers in a packet of `mtu` octets.
pub const fn mss_v6(mtu: u16) -> u16 {
    mtu.saturating_sub(60)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity};

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    const fn cbc(integrity: Integrity) -> Protection {
        Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity }
    }

    /// Columns: without UDP and with it; MTU, MSS of IPv4, MSS of IPv6. A link larger by 8 octets stands for the missing UDP header.
    #[test]
    fn t_07_the_mtu_is_that_of_the_published_table() {
        let gcm = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
        for (protection, bare, udp) in [
            (gcm, (1446, 1406, 1386), (1438, 1398, 1378)),
            (cbc(Integrity::HmacSha1_96), (1438, 1398, 1378), (1422, 1382, 1362)),
            (cbc(Integrity::HmacSha256_128), (1438, 1398, 1378), (1422, 1382, 1362)),
            (cbc(Integrity::HmacSha384_192), (1422, 1382, 1362), (1422, 1382, 1362)),
            (cbc(Integrity::HmacSha512_256), (1422, 1382, 1362), (1406, 1366, 1346)),
        ] {
            for (link, expected) in [(1508, bare), (1500, udp)] {
                let mtu = tunnel_mtu(link, V4, protection);
                assert_eq!((mtu, mss_v4(mtu), mss_v6(mtu)), expected, "{protection:?}, link {link}");
            }
        }
    }

    #[test]
    fn t_14_outer_ipv6_takes_twenty_octets_more() {
        let protection = Protection::Aead(Aead::ChaCha20Poly1305);
        assert_eq!(tunnel_mtu(1500, V4, protection), 1438);
        assert_eq!(tunnel_mtu(1500, V6, protection), 1418);
        assert_eq!(tunnel_mtu(1520, V6, protection), 1438);
    }

    #[test]
    fn a_link_too_small_for_anything_gives_zero() {
        for link in 0..60 {
            assert_eq!(tunnel_mtu(link, V4, cbc(Integrity::HmacSha512_256)), 0);
        }
        assert_eq!(tunnel_mtu(u16::MAX, V4, cbc(Integrity::HmacSha256_128)), 65454);
    }
}
