use std::net::SocketAddr;

use super::*;
use crate::crypto::cipher::{AesKey, Cbc, Integrity, Protection};
use crate::crypto::dh::Group;
use crate::crypto::prf::Prf;
use crate::ike::v1::keys::Exchanged;
use crate::sa::path::Framing;
use crate::sa::spi::IkeSpi;

pub(in crate::ike::v1) fn cookies() -> Cookies {
    let cookie = |octet| IkeSpi::new([octet; 8]).unwrap();
    Cookies { initiator: cookie(0x11), responder: Some(cookie(0x22)) }
}

/// Both sides have the same: whose message it is, its message ID and HASH say.
pub(in crate::ike::v1) fn sa() -> IsakmpSa {
    sa_of(Prf::HmacSha256, Cbc::Aes(AesKey::Aes256))
}

fn sa_of(prf: Prf, encryption: Cbc) -> IsakmpSa {
    let protection = Protection::CbcHmac { encryption, integrity: Integrity::HmacSha256_128 };
    let suite = IkeSuite { protection, prf, group: Group::Modp2048 };
    let exchanged =
        Exchanged { publics: (&[1; 256], &[2; 256]), nonces: (&[3; 32], &[4; 32]), cookies: ([0x11; 8], [0x22; 8]) };
    let skeyid = Skeyid::derive(suite, &Secret::copy_of(b"psk"), &Secret::new(vec![5; 256]), exchanged);
    let cipher = Cipher::new(encryption, &skeyid.cipher_key(encryption)).unwrap();
    let address: SocketAddr = "192.0.2.1:4500".parse().unwrap();
    let agreed = Agreed {
        cookies: cookies(),
        suite,
        phase1_iv: Iv::of_phase1(hash_of(prf), (&[1; 256], &[2; 256]), cipher.block_len()),
        cipher,
        capabilities: PeerCapabilities { dpd: true, ..PeerCapabilities::default() },
        path: Path { local: address, remote: address, framing: Framing::Marked },
        established_at: Instant::START,
        ends_at: None,
        skeyid,
    };
    IsakmpSa::new(PeerAuthenticated(()), agreed)
}

fn contents() -> Contents {
    // A notify of 12 octets: a generic header and eight octets of body.
    Contents { first: registry::PayloadType(PayloadType::NOTIFY.0), octets: vec![0, 0, 0, 12, 0, 0, 0, 1, 1, 0, 0, 9] }
}

const SUITES: [(Prf, Cbc); 4] = [
    (Prf::HmacSha1, Cbc::TripleDes),
    (Prf::HmacSha256, Cbc::Aes(AesKey::Aes128)),
    (Prf::HmacSha384, Cbc::Aes(AesKey::Aes192)),
    (Prf::HmacSha512, Cbc::Aes(AesKey::Aes256)),
];

#[test]
fn what_one_side_seals_the_other_opens_and_believes() {
    for (prf, cbc) in SUITES {
        let sa = sa_of(prf, cbc);
        let mut iv = sa.first_iv(7);
        let sealed = sa.seal_with_hash_1(ExchangeType::INFORMATIONAL, 7, &mut iv, &contents()).unwrap();
        let (header, rest) = Header::parse(&sealed).unwrap();
        assert!(header.flags.encrypted && header.message_id == 7 && header.cookies == sa.cookies);
        let opened = sa.open(&header, &sa.first_iv(7), rest).unwrap();
        assert_eq!(opened.next_iv, iv);
        assert_eq!(sa.verify_hash_1(&opened).unwrap(), (PayloadType::NOTIFY, contents().octets.as_slice()));
    }
}

#[test]
fn k1_010_a_flipped_bit_anywhere_is_noticed() {
    for (prf, cbc) in SUITES {
        let sa = sa_of(prf, cbc);
        let sealed = sa.seal_with_hash_1(ExchangeType::QUICK_MODE, 7, &mut sa.first_iv(7), &contents()).unwrap();
        let believed = |message: &[u8]| {
            let (header, rest) = Header::parse(message).ok()?;
            let opened = sa.open(&header, &sa.first_iv(header.message_id), rest).ok()?;
            sa.verify_hash_1(&opened).ok().map(|(first, rest)| (first, rest.to_vec()))
        };
        let genuine = believed(&sealed);
        assert!(genuine.is_some());
        for bit in 0..sealed.len() * 8 {
            let mut message = sealed.clone();
            message[bit / 8] ^= 1 << (bit % 8);
            // Version, exchange and flags are covered by nothing.
            let covered = !(17..20).contains(&(bit / 8));
            let read = believed(&message);
            assert!(if covered { read.is_none() } else { read.is_none() || read == genuine }, "bit {bit}");
        }
    }
}

#[test]
fn k1_010_what_came_in_clear_or_under_other_cookies_is_not_opened() {
    let sa = sa();
    let sealed = sa.seal_with_hash_1(ExchangeType::INFORMATIONAL, 7, &mut sa.first_iv(7), &contents()).unwrap();
    let (header, rest) = Header::parse(&sealed).unwrap();
    let open = |header: Header| sa.open(&header, &sa.first_iv(7), rest).err();
    assert_eq!(open(Header { flags: Flags::default(), ..header }), Some(DropReason::Unauthenticated));
    let other = Cookies { responder: IkeSpi::new([0x23; 8]), ..header.cookies };
    assert_eq!(open(Header { cookies: other, ..header }), Some(DropReason::NotOurs));
    assert_eq!(open(Header { cookies: Cookies { responder: None, ..other }, ..header }), Some(DropReason::NotOurs));
    assert_eq!(open(header), None);
}

#[test]
fn a_hash_of_another_length_is_no_proof() {
    let sa = sa();
    for len in 0..64 {
        let hash = sa.skeyid.hash_1(7, &contents().octets);
        let hash: Vec<u8> = hash.expose().iter().copied().chain([0; 32]).take(len).collect();
        let sealed = sa.seal_with_hash(ExchangeType::INFORMATIONAL, 7, &mut sa.first_iv(7), &hash, &contents());
        let sealed = sealed.unwrap();
        let (header, rest) = Header::parse(&sealed).unwrap();
        let opened = sa.open(&header, &sa.first_iv(7), rest).unwrap();
        assert_eq!(sa.verify_hash_1(&opened).is_ok(), len == 32, "{len} octets");
    }
}

struct Fixed(u32);

impl Random for Fixed {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.to_be_bytes());
    }
}

#[test]
fn k1_011_a_message_id_is_never_zero_and_never_twice() {
    let mut ids = MessageIds::default();
    assert_eq!(ids.fresh(&mut Fixed(0)), 1);
    assert_eq!(ids.fresh(&mut Fixed(0)), 2);
    assert_eq!(ids.claim(3), Ok(()));
    assert_eq!(ids.fresh(&mut Fixed(1)), 4);
    assert_eq!(ids.fresh(&mut Fixed(u32::MAX)), u32::MAX);
    assert_eq!(ids.fresh(&mut Fixed(u32::MAX)), 5, "zero is skipped");
    assert_eq!(ids.claim(0), Err(DropReason::Malformed));
    for used in [1, 2, 3, 4, 5, u32::MAX] {
        assert!(ids.knows(used));
        assert_eq!(ids.claim(used), Err(DropReason::OutsideWindow));
    }
}

#[test]
fn only_so_many_message_ids_are_remembered() {
    let mut ids = MessageIds::default();
    for id in 1..=5000 {
        ids.claim(id).unwrap();
    }
    assert_eq!(ids.0.len(), MOST_REMEMBERED);
    assert!(ids.knows(5000) && ids.knows(5000 - 1023) && !ids.knows(5000 - 1024));
}

#[test]
fn the_proof_is_made_of_the_exact_hash_only() {
    let expected = Secret::new(vec![7; 20]);
    assert!(PeerAuthenticated::check(&expected, &[7; 20]).is_some());
    for len in (0..64).filter(|len| *len != 20) {
        assert!(PeerAuthenticated::check(&expected, &vec![7; len]).is_none(), "{len} octets");
    }
    for place in 0..160 {
        let mut received = [7; 20];
        received[place / 8] ^= 1 << (place % 8);
        assert!(PeerAuthenticated::check(&expected, &received).is_none(), "bit {place}");
    }
    assert!(PeerAuthenticated::check(&Secret::new(vec![]), &[]).is_none(), "nothing proves nothing");
}
