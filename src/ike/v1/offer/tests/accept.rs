//! What is taken of the peer's proposals, and how it is answered.

use super::*;

fn accept(terms: Phase2Terms, proposals: &[RawProposal]) -> Result<Phase2Choice, OfferFault> {
    phase2_accept(&esp_offers(), terms, &body(proposals))
}

fn with_group(number: u16) -> Vec<u8> {
    short(&[esp_attributes(), vec![(3, number)]].concat())
}

#[test]
fn k1_030_the_first_transform_that_we_offer_too_is_answered_as_it_came_with_our_spi() {
    let odd = [long(4, &[0, 0, 3]), short(&[(1, 1)]), long(2, &[0, 0, 0, 0, 0, 0, 7, 8]), short(&[(5, 5), (6, 256)])];
    let odd = odd.concat();
    let chosen = accept(
        terms(),
        &[
            (7, 3, vec![9; 4], vec![(1, 11, short(&[(4, 3)])), (2, 12, short(&[(6, 128), (5, 5), (4, 3)]))]),
            (
                9,
                3,
                vec![1, 2, 3, 4],
                vec![(5, 12, short(&[(5, 1), (4, 3)])), (6, 12, odd.clone()), (7, 3, short(&[(5, 2), (4, 3)]))],
            ),
            (10, 3, vec![8; 4], vec![(1, 3, short(&[(5, 2), (4, 3)]))]),
        ],
    );
    let expected = Phase2Choice {
        suite: aes_sha256(),
        spi: theirs(),
        lifetime: Lifetime { time: Some(Duration::from_secs(0x708)), bytes: None, packets: None },
        pfs: None,
        answer: body(&[(9, 3, vec![0xc0, 1, 2, 3], vec![(6, 12, odd)])]),
    };
    assert_eq!(chosen, Ok(expected));
}

#[test]
fn k1_030_our_own_offer_is_accepted_by_ourselves_and_the_answer_by_the_offer() {
    for pfs in [None, Some(Group::Modp2048), Some(Group::Ecp521)] {
        for nat_traversal in [NatTraversal::Rfc3947, NatTraversal::Draft] {
            let terms = Phase2Terms { pfs, nat_traversal, ..terms() };
            let responder = Phase2Terms { spi: InboundSpi::new(0x0102_0304).unwrap(), ..terms };
            let accepted = phase2_accept(&esp_offers(), responder, &phase2(&esp_offers(), terms)).unwrap();
            assert_eq!((accepted.spi.value(), accepted.pfs), (0xc001_0203, pfs));
            let choice = phase2_choice(&esp_offers(), terms, &accepted.answer).unwrap();
            assert_eq!((choice.suite, choice.spi, choice.pfs), (aes_sha256(), theirs(), pfs));
            assert_eq!((choice.suite, choice.lifetime), (accepted.suite, accepted.lifetime));
        }
    }
}

#[test]
fn k1_012_with_forward_secrecy_a_proposal_without_it_or_with_a_foreign_group_is_refused() {
    let terms = Phase2Terms { pfs: Some(Group::Modp2048), ..terms() };
    let without = (1, 12, short(&esp_attributes()));
    assert_eq!(accept(terms, &[esp(1, 12, &without.2)]), Err(OfferFault::NotOffered));
    let both = (1, 3, vec![1, 2, 3, 4], vec![without, (2, 12, with_group(14))]);
    let chosen = accept(terms, &[both]).unwrap();
    assert_eq!(chosen.pfs, Some(Group::Modp2048));
    assert_eq!(chosen.answer, body(&[(1, 3, vec![0xc0, 1, 2, 3], vec![(2, 12, with_group(14))])]));
    for number in numbers() {
        let accepted = accept(terms, &[esp(1, 12, &with_group(number))]).is_ok();
        // 5 is among the offers'.
        assert_eq!(accepted, [14, 5].contains(&number), "{number}");
    }
}

#[test]
fn k1_012_v_20_without_forward_secrecy_a_good_group_of_the_peer_is_followed() {
    for number in numbers() {
        let accepted = accept(terms(), &[esp(1, 12, &with_group(number))]);
        // 5 is weak, but among the offers'; 2 is not.
        let good = [5, 14, 15, 16, 19, 20, 21].contains(&number);
        assert_eq!(accepted.is_ok(), good, "{number}");
        assert!(accepted.is_err() || accepted.unwrap().pfs.is_some());
    }
    let twice = [with_group(14), short(&[(3, 14)])].concat();
    assert_eq!(accept(terms(), &[esp(1, 12, &twice)]), Err(OfferFault::NotOffered));
}

#[test]
fn proposals_with_the_same_number_belong_together_and_are_refused_together() {
    let good = esp(1, 12, &short(&esp_attributes()));
    let ah = (1, 2, vec![1, 2, 3, 4], vec![(1, 3, short(&[(5, 2), (4, 3)]))]);
    let ipcomp = (1, 4, vec![1, 2], vec![(1, 2, short(&[(4, 3)]))]);
    for other in [ah, ipcomp, good.clone()] {
        for bundle in [vec![good.clone(), other.clone()], vec![other.clone(), good.clone()]] {
            assert_eq!(accept(terms(), &bundle), Err(OfferFault::NotOffered));
            let alone = esp(2, 12, &short(&esp_attributes()));
            let chosen = accept(terms(), &[bundle.clone(), vec![alone.clone()]].concat()).unwrap();
            assert_eq!(chosen.answer[12], 2);
            let chosen = accept(terms(), &[vec![alone], bundle].concat()).unwrap();
            assert_eq!(chosen.answer[12], 2);
        }
    }
}

#[test]
fn a_proposal_for_another_protocol_or_with_an_impossible_spi_is_passed_over() {
    let transforms = vec![(1, 12, short(&esp_attributes()))];
    for protocol in (0..=255).filter(|protocol| *protocol != 3) {
        assert!(accept(terms(), &[(1, protocol, vec![1, 2, 3, 4], transforms.clone())]).is_err(), "{protocol}");
    }
    for spi in [vec![], vec![1], vec![9; 3], vec![9; 5], vec![9; 16], vec![0; 4], vec![0, 0, 0, 255]] {
        let bad = (1, 3, spi, transforms.clone());
        assert_eq!(accept(terms(), std::slice::from_ref(&bad)), Err(OfferFault::NotOffered));
        assert!(accept(terms(), &[bad, esp(2, 12, &short(&esp_attributes()))]).is_ok());
    }
    assert!(accept(terms(), &[(1, 3, vec![0, 0, 1, 0], transforms)]).is_ok());
}

#[test]
fn k1_024_only_the_negotiated_encapsulation_is_accepted() {
    let draft = Phase2Terms { nat_traversal: NatTraversal::Draft, ..terms() };
    for mode in numbers() {
        let proposal = [esp(1, 12, &short(&[(6, 256), (5, 5), (4, mode)]))];
        assert_eq!(accept(terms(), &proposal).is_ok(), mode == 3, "{mode}");
        assert_eq!(accept(draft, &proposal).is_ok(), mode == 61_443, "{mode}");
    }
}

#[test]
fn k1_030_a_proposal_with_something_unknown_is_passed_over() {
    let unknown = short(&[esp_attributes(), vec![(99, 1)]].concat());
    let known = short(&esp_attributes());
    assert_eq!(accept(terms(), &[esp(1, 12, &unknown)]), Err(OfferFault::NotOffered));
    let chosen = accept(terms(), &[(1, 3, vec![1, 2, 3, 4], vec![(1, 12, unknown), (2, 12, known.clone())])]);
    assert_eq!(chosen.unwrap().answer, body(&[(1, 3, vec![0xc0, 1, 2, 3], vec![(2, 12, known)])]));
}

#[test]
fn the_most_that_a_payload_can_hold_is_looked_at_in_the_end() {
    let mut transforms: Vec<RawTransform> = vec![(1, 1, vec![]); 254];
    transforms.push((255, 12, short(&esp_attributes())));
    let mut proposals: Vec<RawProposal> =
        (0..20).map(|number| (number, 3, vec![1, 2, 3, 4], vec![(1, 1, vec![]); 255])).collect();
    proposals.push((200, 3, vec![1, 2, 3, 4], transforms));
    let chosen = accept(terms(), &proposals).unwrap();
    assert_eq!((chosen.suite, chosen.answer[12]), (aes_sha256(), 200));
}
