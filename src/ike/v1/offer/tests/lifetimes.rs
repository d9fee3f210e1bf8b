//! K1-014: what the peer says of lifetimes may only shorten ours.

use super::*;

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

fn attributes(pairs: &[(u16, Vec<u8>)], numbers: (u16, u16)) -> Vec<u8> {
    pairs
        .iter()
        .flat_map(|(kind, duration)| [short(&[(numbers.0, *kind)]), long(numbers.1, duration)].concat())
        .collect()
}

fn phase2_with(ours: Lifetime, life: &[u8]) -> Result<Lifetime, OfferFault> {
    let answer = body(&[esp(1, 12, &[short(&esp_attributes()), life.to_vec()].concat())]);
    let terms = Phase2Terms { lifetime: ours, ..terms() };
    let chosen = phase2_choice(&esp_offers(), terms, &answer).map(|choice| choice.lifetime);
    let accepted = phase2_accept(&esp_offers(), terms, &answer).map(|choice| choice.lifetime);
    assert_eq!(chosen, accepted);
    chosen
}

fn phase1_with(ours: Option<Duration>, life: &[u8]) -> Result<Option<Duration>, OfferFault> {
    let suite = short(&[(1, 7), (14, 256), (2, 4), (4, 14), (3, 1)]);
    let answer = body(&[(1, 1, vec![], vec![(1, 1, [life.to_vec(), suite].concat())])]);
    phase1_choice(&ike_offers(), Method::PreSharedKey, ours, &answer).map(|choice| choice.lifetime)
}

fn seconds(duration: &[u8]) -> Vec<(u16, Vec<u8>)> {
    vec![(1, duration.to_vec())]
}

#[test]
fn k1_014_a_shorter_lifetime_is_taken_a_longer_one_not_and_zero_says_nothing() {
    let limited = Lifetime { time: HOUR, bytes: None, packets: Some(7) };
    for (duration, expected) in [
        (vec![0x0e, 0x0f], 3599),
        (vec![0x0e, 0x10], 3600),
        (vec![0x0e, 0x11], 3600),
        (vec![1], 10),
        (vec![0, 0, 0, 20], 20),
        (vec![0, 0, 0, 0, 0, 0, 0, 20], 20),
        (vec![0; 4], 3600),
        (vec![0; 8], 3600),
        (vec![0xff; 4], 3600),
        (vec![0xff; 8], 3600),
        (vec![0xff; 9], 3600),
        (vec![0xff; 1000], 3600),
        ([vec![0; 100], vec![11]].concat(), 11),
    ] {
        let expected = Some(Duration::from_secs(expected));
        let life = attributes(&seconds(&duration), (1, 2));
        assert_eq!(phase2_with(limited, &life), Ok(Lifetime { time: expected, ..limited }));
        let life = attributes(&seconds(&duration), (11, 12));
        assert_eq!(phase1_with(HOUR, &life), Ok(expected));
    }
}

#[test]
fn k1_014_without_a_limit_of_ours_theirs_is_taken_unless_it_is_beyond_reason() {
    let life = |duration: &[u8]| phase1_with(None, &attributes(&seconds(duration), (11, 12))).unwrap();
    assert_eq!(life(&[0, 1, 0x51, 0x80]), Some(Duration::from_secs(86_400)));
    assert_eq!(life(&[0xff; 4]), Some(Duration::from_secs(0xffff_ffff)));
    assert_eq!(life(&[1, 0, 0, 0, 0]), None);
    assert_eq!(life(&[0xff; 8]), None);
    assert_eq!(life(&[0]), None);
    assert_eq!(phase1_with(None, &[]), Ok(None));
}

#[test]
fn k1_014_the_short_and_the_long_form_say_the_same_and_no_lifetime_at_all_is_ours() {
    assert_eq!(phase1_with(HOUR, &short(&[(11, 1), (12, 60)])), Ok(Some(Duration::from_secs(60))));
    assert_eq!(phase1_with(HOUR, &[]), Ok(HOUR));
    let ours = Lifetime { time: HOUR, bytes: Some(5), packets: None };
    assert_eq!(phase2_with(ours, &[]), Ok(ours));
    let kind_long = [long(1, &[0, 0, 0, 1]), short(&[(2, 60)])].concat();
    assert_eq!(phase2_with(ours, &kind_long), Ok(Lifetime { time: Some(Duration::from_secs(60)), ..ours }));
}

#[test]
fn k1_014_seconds_and_kilobytes_come_in_pairs_in_any_order() {
    let ours = Lifetime { time: HOUR, bytes: Some(1 << 30), packets: None };
    let both = Lifetime { time: Some(Duration::from_secs(60)), bytes: Some(128 << 20), packets: None };
    for pairs in [vec![(1, vec![60]), (2, vec![2, 0, 0])], vec![(2, vec![2, 0, 0]), (1, vec![60])]] {
        assert_eq!(phase2_with(ours, &attributes(&pairs, (1, 2))), Ok(both));
    }
    for (kilobytes, bytes) in
        [(vec![0], 1 << 30), (vec![16, 0, 0], 1 << 30), (vec![3, 255, 0], 1023 << 18), (vec![0xff; 8], 1 << 30)]
    {
        let life = attributes(&[(2, kilobytes)], (1, 2));
        assert_eq!(phase2_with(ours, &life), Ok(Lifetime { bytes: Some(bytes), ..ours }));
    }
    let unlimited = Lifetime { bytes: None, ..ours };
    let life = attributes(&[(2, vec![0xff; 8])], (1, 2));
    assert_eq!(phase2_with(unlimited, &life), Ok(Lifetime { bytes: Some(u64::MAX), ..ours }));
}

#[test]
fn k1_014_no_lifetime_of_theirs_makes_us_hammer() {
    let unlimited = Lifetime { time: HOUR, ..Lifetime::default() };
    let floor = Lifetime { time: Some(Duration::from_secs(10)), bytes: Some(64 << 20), packets: None };
    let least = attributes(&[(1, vec![1]), (2, vec![1])], (1, 2));
    assert_eq!(phase2_with(unlimited, &least), Ok(floor));
    assert_eq!(shortened_phase2(unlimited, &least), floor);
    assert_eq!(shortened_phase1(HOUR, &short(&[(11, 1), (12, 1)])), floor.time);
    // What is configured stays, however short.
    let ours = Lifetime { time: Some(Duration::from_secs(3)), bytes: Some(5), packets: None };
    assert_eq!(phase2_with(ours, &least), Ok(ours));
}

#[test]
fn k1_014_durations_of_nothing_of_unknown_types_and_contradictions_are_refused() {
    for odd in [
        short(&[(2, 60)]),
        short(&[(1, 1)]),
        short(&[(1, 1), (1, 1), (2, 60)]),
        short(&[(1, 1), (2, 60), (2, 60)]),
        short(&[(1, 1), (2, 60), (1, 1), (2, 50)]),
        short(&[(1, 0), (2, 60)]),
        short(&[(1, 3), (2, 60)]),
        short(&[(1, 65_535), (2, 60)]),
        [short(&[(1, 1)]), long(2, &[])].concat(),
        [long(1, &[]), short(&[(2, 60)])].concat(),
    ] {
        assert_eq!(phase2_with(terms().lifetime, &odd), Err(OfferFault::NotOffered), "{odd:?}");
    }
    assert_eq!(phase1_with(HOUR, &short(&[(12, 60)])), Err(OfferFault::NotOffered));
}

#[test]
fn k1_014_a_notified_lifetime_shortens_and_never_lengthens() {
    let ours = Lifetime { time: HOUR, bytes: None, packets: Some(3) };
    let said = |octets: &[u8]| shortened_phase2(ours, octets);
    assert_eq!(said(&short(&[(1, 1), (2, 60)])), Lifetime { time: Some(Duration::from_secs(60)), ..ours });
    assert_eq!(said(&short(&[(1, 1), (2, 3601)])), ours);
    assert_eq!(said(&attributes(&[(2, vec![1, 0, 0, 0])], (1, 2))), Lifetime { bytes: Some(1 << 34), ..ours });
    for unreadable in [&[][..], &[1], &[0x80, 1, 0], &short(&[(2, 60)]), &long(1, &[]), &[0, 1, 0xff, 0xff]] {
        assert_eq!(said(unreadable), ours, "{unreadable:?}");
        assert_eq!(shortened_phase1(HOUR, unreadable), HOUR);
    }
    assert_eq!(shortened_phase1(HOUR, &short(&[(11, 1), (12, 60)])), Some(Duration::from_secs(60)));
    assert_eq!(shortened_phase1(HOUR, &short(&[(11, 1), (12, 3601)])), HOUR);
}

#[test]
fn lifetimes_are_written_rounded_up_and_no_longer_than_four_octets() {
    let life = |time, bytes| {
        let offer = phase2(&esp_offers(), Phase2Terms { lifetime: Lifetime { time, bytes, packets: None }, ..terms() });
        let proposals = read_proposals(&offer).unwrap();
        proposals[0].transforms[0].octets[12..].to_vec()
    };
    assert!(life(None, None).is_empty());
    assert_eq!(life(Some(Duration::from_millis(300)), Some(1)), short(&[(1, 1), (2, 1), (1, 2), (2, 1)]));
    assert_eq!(life(None, Some(1025)), short(&[(1, 2), (2, 2)]));
    let most = [short(&[(1, 1)]), long(2, &[0xff; 4]), short(&[(1, 2)]), long(2, &[0xff; 4])].concat();
    assert_eq!(life(Some(Duration::MAX), Some(u64::MAX)), most);
}
