//! NAT detection (RFC 7296 §2.23, RFC 3947 §3.2) and where messages go after it. It knows what the hashes are made of and what they say;
//! not which hash a protocol uses, nor how it carries them.

use std::net::{IpAddr, SocketAddr};

use crate::sa::path::{Framing, Path};

/// What NAT detection found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NatSituation {
    /// A NAT stands before us: the mapping needs keepalives.
    pub(crate) local: bool,
    /// A NAT stands before the gateway.
    pub(crate) remote: bool,
}

/// What the peer's hashes are compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    /// The initiator's SPI or cookie.
    pub(crate) initiator_spi: [u8; 8],
    /// The responder's SPI or cookie.
    pub(crate) responder_spi: [u8; 8],
    /// The addresses as we see them.
    pub(crate) path: Path,
}

/// The octets one side's detection hash is made of: both IKE SPIs (cookies in IKEv1), address and port.
pub(crate) fn detection_input(initiator_spi: [u8; 8], responder_spi: [u8; 8], address: SocketAddr) -> Vec<u8> {
    let mut input = Vec::with_capacity(34);
    input.extend_from_slice(&initiator_spi);
    input.extend_from_slice(&responder_spi);
    match address.ip() {
        IpAddr::V4(ip) => input.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => input.extend_from_slice(&ip.octets()),
    }
    input.extend_from_slice(&address.port().to_be_bytes());
    input
}

/// Compares the hashes the peer sent: of its own address (it may send several) and of ours as it saw it. A peer that sent none may
/// have any NAT before us.
pub(crate) fn detect<'a>(
    observed: Observed,
    hash: impl Fn(&[u8]) -> Vec<u8>,
    sources: impl IntoIterator<Item = &'a [u8]>,
    destination: Option<&[u8]>,
) -> NatSituation {
    let of = |address| hash(&detection_input(observed.initiator_spi, observed.responder_spi, address));
    let expected = of(observed.path.remote);
    let mut sources = sources.into_iter().peekable();
    let remote = sources.peek().is_some() && sources.all(|source| source != expected);
    let local = destination.is_none_or(|destination| destination != of(observed.path.local));
    NatSituation { local, remote }
}

/// The path after the first exchange: always encapsulated, whatever was detected, and never back (RFC 7296 §2.23).
pub(crate) fn floated(path: Path, encapsulation_port: u16) -> Path {
    match path.framing {
        Framing::Marked => path,
        Framing::Bare => {
            let remote = SocketAddr::new(path.remote.ip(), encapsulation_port);
            Path { remote, framing: Framing::Marked, ..path }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::sha1;

    const LOCAL: &str = "192.0.2.10:40000";
    const REMOTE: &str = "198.51.100.1:500";
    const SPIS: ([u8; 8], [u8; 8]) = ([1; 8], [2; 8]);

    fn observed() -> Observed {
        let path = Path { local: LOCAL.parse().unwrap(), remote: REMOTE.parse().unwrap(), framing: Framing::Bare };
        Observed { initiator_spi: SPIS.0, responder_spi: SPIS.1, path }
    }

    fn hash(input: &[u8]) -> Vec<u8> {
        sha1(&[input]).to_vec()
    }

    fn of(address: &str) -> Vec<u8> {
        hash(&detection_input(SPIS.0, SPIS.1, address.parse().unwrap()))
    }

    fn situation(sources: &[Vec<u8>], destination: Option<Vec<u8>>) -> (bool, bool) {
        let found = detect(observed(), hash, sources.iter().map(Vec::as_slice), destination.as_deref());
        (found.local, found.remote)
    }

    #[test]
    fn k2_039_the_hash_is_over_spis_address_and_port_in_network_order() {
        assert_eq!(
            detection_input([1; 8], [0; 8], "192.0.2.10:40000".parse().unwrap()),
            [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 10, 0x9c, 0x40]
        );
        assert_eq!(detection_input([1; 8], [2; 8], "[2001:db8::1]:500".parse().unwrap()).len(), 34);
    }

    #[test]
    fn k2_039_matching_hashes_mean_no_nat_and_each_side_is_seen_by_itself() {
        assert_eq!(situation(&[of(REMOTE)], Some(of(LOCAL))), (false, false));
        assert_eq!(situation(&[of(REMOTE)], Some(of("203.0.113.5:40000"))), (true, false));
        assert_eq!(situation(&[of("10.0.0.1:500")], Some(of(LOCAL))), (false, true));
        assert_eq!(situation(&[vec![]], Some(vec![])), (true, true));
    }

    #[test]
    fn k2_039_one_of_several_source_hashes_is_enough() {
        assert_eq!(situation(&[of("10.0.0.1:500"), of(REMOTE), of("10.0.0.2:500")], Some(of(LOCAL))), (false, false));
    }

    #[test]
    fn k2_039_a_peer_without_nat_detection_may_have_a_nat_before_us() {
        assert_eq!(situation(&[], None), (true, false));
    }

    #[test]
    fn k2_040_the_path_floats_to_the_encapsulation_port_and_stays_there() {
        let path = observed().path;
        let after = floated(path, 4500);
        assert_eq!(after, Path { remote: "198.51.100.1:4500".parse().unwrap(), framing: Framing::Marked, ..path });
        assert_eq!(floated(after, 9999), after);
    }
}
