//! Single payloads: what each may hold, and what is refused.

use super::payload::{MOST_ATTRIBUTES, MOST_SPIS};
use super::*;
use crate::ike::identity::Identity;
use crate::ike::wire::chain::MOST_PAYLOADS;

fn with(case: &Case, kind: PayloadType, body: &[u8]) -> Again {
    let mut message = parts(&case.contents);
    message.push((kind, body.to_vec()));
    case.read_parts(&message)
}

fn replaced(case: &Case, kind: PayloadType, body: &[u8]) -> Again {
    let mut message = parts(&case.contents);
    message.iter_mut().filter(|part| part.0 == kind).for_each(|part| part.1 = body.to_vec());
    case.read_parts(&message)
}

fn has(case: &Case, kind: PayloadType) -> bool {
    parts(&case.contents).iter().any(|part| part.0 == kind)
}

#[test]
fn k1_006_nonces_have_8_to_256_octets() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| has(case, PayloadType::NONCE)) {
        seen += 1;
        for octets in [0, 1, 7, 8, 9, 16, 255, 256, 257, 1000, 60_000] {
            let read = replaced(case, PayloadType::NONCE, &vec![1; octets]);
            assert_eq!(read.is_ok(), (8..=256).contains(&octets), "{} {octets}", case.name);
            let written = MainModeKeys { nonce: vec![1; octets], ..main_mode_keys() }.contents();
            assert_eq!(written.is_ok(), (8..=256).contains(&octets), "{octets}");
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn k1_007_the_phase_1_identity_is_for_any_port_or_for_ike() {
    for case in cases().iter().filter(|case| case.phase == 1 && has(case, PayloadType::IDENTIFICATION)) {
        for protocol in 0..=255 {
            for port in [0, 1, 499, 500, 501, 4499, 4500, 4501, 65_535] {
                let id = Identification { protocol, port, ..identification() };
                let fits = (protocol, port) == (0, 0) || (protocol == 17 && [0, 500, 4500].contains(&port));
                let read = replaced(case, PayloadType::IDENTIFICATION, &id.body());
                assert_eq!(read.is_ok(), fits, "{} {protocol}/{port}", case.name);
            }
        }
    }
    assert_eq!(Identification::of(&Identity::Fqdn("replica.example".into())), identification());
}

#[test]
fn k1_007_the_quick_mode_identities_are_for_any_protocol_and_port() {
    let quick = QuickModeProposal {
        identifications: Some((
            Identification { protocol: 6, port: 443, ..subnet(1) },
            Identification { protocol: 255, port: 65_535, ..subnet(2) },
        )),
        ..quick_mode()
    };
    let contents = quick.contents().unwrap();
    assert_eq!(QuickModeProposal::parse(first(&contents), &contents.octets), Ok(quick));
}

#[test]
fn v_12_quick_mode_identities_of_every_type_and_length_are_read_as_they_are() {
    for kind in 0..=255 {
        for octets in [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 255, 256, 300] {
            let odd = Identification { kind, protocol: 0, port: 0, data: vec![0xfe; octets] };
            for ids in [(odd.clone(), subnet(1)), (subnet(1), odd.clone()), (odd.clone(), odd.clone())] {
                let quick = QuickModeProposal { identifications: Some(ids), ..quick_mode() };
                let contents = quick.contents().unwrap();
                assert_eq!(QuickModeProposal::parse(first(&contents), &contents.octets), Ok(quick));
            }
        }
    }
}

#[test]
fn v_12_an_identity_shorter_than_its_fixed_fields_is_refused() {
    for case in cases().iter().filter(|case| has(case, PayloadType::IDENTIFICATION)) {
        for octets in 0..4 {
            assert!(replaced(case, PayloadType::IDENTIFICATION, &vec![0; octets]).is_err(), "{}", case.name);
        }
    }
}

#[test]
fn v_23_phase_1_identities_of_every_type_and_length_are_read_and_none_is_taken_for_another() {
    for kind in 0..=255 {
        for octets in [0, 1, 3, 4, 5, 16, 17, 255, 256, 512, 65_000] {
            let id = Identification { kind, protocol: 0, port: 0, data: vec![0xfe; octets] };
            let auth = MainModeAuth { identification_body: id.body(), identification: id.clone(), ..main_mode_auth() };
            let contents = auth.contents().unwrap();
            assert_eq!(MainModeAuth::parse(first(&contents), &contents.octets), Ok(auth));
            assert!(id.identity().to_string().len() < 1024);
            assert_eq!(Identification::of(&id.identity()), id);
        }
    }
}

#[test]
fn identities_of_every_kind_are_sent_by_their_numbers() {
    let of = |identity| Identification::of(&identity);
    let id = |kind, data: &[u8]| Identification { kind, protocol: 0, port: 0, data: data.to_vec() };
    assert_eq!(of(Identity::Ipv4([192, 0, 2, 1].into())), id(1, &[192, 0, 2, 1]));
    assert_eq!(of(Identity::Email("a@b".into())), id(3, b"a@b"));
    assert_eq!(of(Identity::Ipv6([7; 16].into())), id(5, &[7; 16]));
    assert_eq!(of(Identity::KeyId(vec![1, 2])), id(11, &[1, 2]));
    assert_eq!(of(Identity::Other(9, vec![3])), id(9, &[3]));
}

#[test]
fn k1_029_v_19_every_domain_and_situation_but_our_own_is_refused() {
    let bits = (0..32).map(|bit| 1_u32 << bit);
    let values: Vec<u32> = bits.chain([0, 2, 3, 5, 0xffff_fffe, u32::MAX]).filter(|value| *value != 1).collect();
    for case in cases().iter().filter(|case| has(case, PayloadType::SECURITY_ASSOCIATION)) {
        for value in &values {
            let domain = [&value.to_be_bytes()[..], &sa()[4..]].concat();
            let situation = [&sa()[..4], &value.to_be_bytes(), &sa()[8..]].concat();
            let refused = |body: &[u8]| replaced(case, PayloadType::SECURITY_ASSOCIATION, body).unwrap_err();
            assert!(refused(&domain).to_string().starts_with("unusable DOI at octet"), "{value:x}");
            assert!(refused(&situation).to_string().starts_with("unusable situation at octet"), "{value:x}");
            assert!(refused(&domain).to_string().len() < 60);
        }
        for octets in 0..8 {
            assert!(replaced(case, PayloadType::SECURITY_ASSOCIATION, &sa()[..octets]).is_err());
        }
    }
}

#[test]
fn k1_029_notifies_and_deletes_of_other_domains_are_refused() {
    let informational = cases().into_iter().find(|case| case.name == "Informational").unwrap();
    for domain in [0, 1, 2, 0x100, 0x8000_0000, u32::MAX] {
        let notify = [&domain.to_be_bytes()[..], &[1, 0, 0, 14]].concat();
        let delete = [&domain.to_be_bytes()[..], &[3, 4, 0, 1, 1, 2, 3, 4]].concat();
        assert_eq!(with(&informational, PayloadType::NOTIFY, &notify).is_ok(), domain < 2, "{domain}");
        assert_eq!(with(&informational, PayloadType::DELETE, &delete).is_ok(), domain < 2, "{domain}");
    }
}

#[test]
fn v_19_the_drafts_payloads_have_no_place_but_their_own() {
    for case in cases() {
        for kind in [15, 16, 19, 132] {
            assert!(with(&case, PayloadType(kind), &[0; 20]).is_err(), "{} {kind}", case.name);
        }
        for kind in [20, 130] {
            let belongs = ["MainModeKeys", "AggressiveAnswer", "AggressiveProof"].contains(&case.name);
            assert_eq!(with(&case, PayloadType(kind), &[0; 20]).is_ok(), belongs, "{} {kind}", case.name);
        }
        for kind in [21, 131] {
            let belongs = case.name == "QuickModeProposal";
            assert_eq!(with(&case, PayloadType(kind), &[1, 0, 0, 0, 9, 9, 9, 9]).is_ok(), belongs, "{}", case.name);
        }
    }
}

#[test]
fn vendor_ids_of_any_size_may_be_anywhere() {
    for case in cases() {
        for octets in [0, 1, 8, 16, 20, 1000] {
            assert!(with(&case, PayloadType::VENDOR_ID, &vec![9; octets]).is_ok(), "{} {octets}", case.name);
        }
    }
}

#[test]
fn v_25_certificates_and_signatures_are_refused_and_requests_for_them_not_looked_at() {
    for case in cases() {
        for octets in [0, 1, 5, 300] {
            let body = vec![0x30; octets];
            assert!(with(&case, PayloadType::CERTIFICATE, &body).is_err(), "{}", case.name);
            assert!(with(&case, PayloadType::SIGNATURE, &body).is_err(), "{}", case.name);
            let skipped = case.phase == 1 && case.name != "AggressiveProof";
            let requested = with(&case, PayloadType::CERTIFICATE_REQUEST, &body);
            assert_eq!(requested, if skipped { Ok(case.contents.clone()) } else { requested.clone() });
            assert_eq!(requested.is_ok(), skipped, "{}", case.name);
        }
    }
}

#[test]
fn k1_011_the_hash_is_first_and_the_sa_second() {
    let quick = quick_mode().contents().unwrap();
    let [sa, nonce, ..] = parts(&quick).try_into().unwrap_or_else(|all: Vec<Part>| [all[0].clone(), all[1].clone()]);
    let swapped = join(&[nonce.clone(), sa.clone()]).unwrap();
    assert!(QuickModeProposal::parse(first(&swapped), &swapped.octets).is_err());
    let hash = (PayloadType::HASH, vec![0x55; 20]);
    let good = join(&[hash.clone(), sa.clone(), nonce.clone()]).unwrap();
    let hashed = Hashed::parse(first(&good), &good.octets).unwrap();
    assert!(QuickModeProposal::parse(PayloadType(hashed.next), hashed.rest).is_ok());
    let late = join(&[sa.clone(), hash.clone(), nonce.clone()]).unwrap();
    assert!(Hashed::parse(first(&late), &late.octets).is_err());
    assert!(QuickModeProposal::parse(first(&late), &late.octets).is_err());
    let twice = join(&[hash.clone(), hash, sa, nonce]).unwrap();
    let hashed = Hashed::parse(first(&twice), &twice.octets).unwrap();
    assert!(QuickModeProposal::parse(PayloadType(hashed.next), hashed.rest).is_err());
}

#[test]
fn k1_011_what_a_hash_covers_is_a_whole_chain() {
    for kind in (0..=255).filter(|kind| *kind != 8) {
        assert!(Hashed::parse(PayloadType(kind), &[0, 0, 0, 4]).is_err(), "{kind}");
    }
    let good = join(&[(PayloadType::HASH, vec![1; 20]), (PayloadType::NOTIFY, vec![2; 12])]).unwrap();
    assert!(Hashed::parse(PayloadType::HASH, &good.octets).is_ok());
    for end in 0..good.octets.len() {
        assert!(Hashed::parse(PayloadType::HASH, &good.octets[..end]).is_err(), "{end}");
    }
}

#[test]
fn the_number_of_payloads_is_bounded() {
    let vendor_id = (PayloadType::VENDOR_ID, vec![]);
    for case in cases() {
        let whole = parts(&case.contents);
        for (total, good) in [(MOST_PAYLOADS, true), (MOST_PAYLOADS + 1, false), (1000, false)] {
            let mut octets = Vec::new();
            let all: Vec<Part> =
                whole.iter().cloned().chain(std::iter::repeat(vendor_id.clone())).take(total).collect();
            for (place, part) in all.iter().enumerate() {
                octets.extend([all.get(place + 1).map_or(0, |next| next.0.0), 0]);
                octets.extend((part.1.len() as u16 + 4).to_be_bytes());
                octets.extend(&part.1);
            }
            let read = (case.read)(all[0].0, &octets);
            assert_eq!(read.is_ok(), good, "{} {total}", case.name);
            assert!(good || read == Err(DecodeError::TooManyPayloads));
        }
    }
    assert!(join(&vec![vendor_id; MOST_PAYLOADS + 1]).is_err());
}

#[test]
fn v_13_several_deletes_and_notifies_in_one_ikev1_message_are_read_in_any_order() {
    let notify = |kind| (PayloadType::NOTIFY, notify(kind).body().unwrap());
    let delete = |delete: &Delete| (PayloadType::DELETE, delete.body().unwrap());
    let esp = Delete { protocol: 3, spis: vec![vec![1, 2, 3, 4]] };
    let isakmp = Delete { protocol: 1, spis: vec![vec![5; 16]] };
    let read = |parts: &[Part]| {
        let contents = join(parts).unwrap();
        Informational::parse(first(&contents), &contents.octets).unwrap()
    };
    let (e, i) = (delete(&esp), delete(&isakmp));
    assert_eq!(read(&[e.clone(), e.clone()]).deletes, [esp.clone(), esp.clone()]);
    assert_eq!(read(&[e.clone(), notify(36_136)]).deletes, std::slice::from_ref(&esp));
    let both = read(&[notify(1), i.clone(), notify(2), e.clone(), notify(3)]);
    assert_eq!(both.deletes, [isakmp, esp]);
    assert_eq!(both.notifies.iter().map(|notify| notify.kind).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn k1_017_deletes_name_sas_by_spis_of_the_right_size_and_number() {
    let read = |protocol: u8, size: u8, count: u16, octets: usize| {
        let body = [&[0, 0, 0, 1, protocol, size][..], &count.to_be_bytes(), &vec![7; octets]].concat();
        Delete::read(&body, 0)
    };
    for size in 0..=255_u8 {
        let one = usize::from(size);
        assert_eq!(read(1, size, 1, one).is_ok(), size == 16, "{size}");
        assert_eq!(read(2, size, 1, one).is_ok(), size == 4, "{size}");
        assert_eq!(read(3, size, 1, one).is_ok(), size == 4, "{size}");
        assert_eq!(read(4, size, 1, one).is_ok(), (1..=16).contains(&size), "{size}");
    }
    for (count, octets, good) in [(0, 0, true), (1, 4, true), (1, 8, false), (2, 4, false), (65_535, 4, false)] {
        assert_eq!(read(3, 4, count, octets).is_ok(), good, "{count}");
    }
    let most = MOST_SPIS as u16;
    assert!(read(3, 4, most, MOST_SPIS * 4).is_ok());
    assert!(read(3, 4, most + 1, MOST_SPIS * 4 + 4).is_err());
    let unwritable = [
        Delete { protocol: 3, spis: vec![vec![1; 4], vec![1; 5]] },
        Delete { protocol: 1, spis: vec![vec![1; 4]] },
        Delete { protocol: 3, spis: vec![] },
        Delete { protocol: 3, spis: vec![vec![1; 4]; MOST_SPIS + 1] },
    ];
    assert!(unwritable.iter().all(|delete| delete.body().is_err()));
}

#[test]
fn notifies_name_sas_by_spis_that_lie_within_them() {
    let read = |protocol: u8, size: u8, octets: usize| {
        let body = [&[0, 0, 0, 1, protocol, size, 0, 14][..], &vec![7; octets]].concat();
        Notify::read(&body, 0)
    };
    for size in 0..=255_u8 {
        let one = usize::from(size);
        assert_eq!(read(1, size, one).is_ok(), size <= 16, "{size}");
        assert_eq!(read(3, size, one).is_ok(), size == 0 || size == 4, "{size}");
        assert!(size == 0 || read(1, size, one - 1).is_err());
    }
    assert_eq!(read(3, 4, 6).unwrap(), Notify { protocol: 3, spi: vec![7; 4], kind: 14, data: vec![7; 2] });
    assert!(Notify { spi: vec![0; 17], ..notify(1) }.body().is_err());
}

#[test]
fn k1_022_attributes_of_mode_config_come_in_either_form() {
    let body = [1, 0xff, 0xab, 0xcd, 0xc0, 0x8f, 0, 1, 0x40, 0x8f, 0, 2, 0, 1, 0, 1, 0, 0];
    let read = Attributes::read(&body, 0).unwrap();
    let expected = Attributes {
        kind: 1,
        identifier: 0xabcd,
        attributes: vec![(16_527, vec![0, 1]), (16_527, vec![0, 1]), (1, vec![])],
    };
    assert_eq!(read, expected);
    for end in (5..body.len()).filter(|end| ![8, 14].contains(end)) {
        assert!(Attributes::read(&body[..end], 0).is_err(), "{end}");
    }
    let many = Attributes { attributes: vec![(1, vec![]); MOST_ATTRIBUTES], ..attributes() };
    assert_eq!(Attributes::read(&many.body().unwrap(), 0), Ok(many.clone()));
    let more = [many.body().unwrap(), vec![0, 1, 0, 0]].concat();
    assert!(Attributes::read(&more, 0).is_err());
    assert!(Attributes { attributes: vec![(0x8001, vec![])], ..attributes() }.body().is_err());
}
