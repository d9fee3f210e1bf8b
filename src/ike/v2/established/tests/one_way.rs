//! Packets go out, and none comes back, although the peer answers.

use super::peer::{CHILD, INBOUND, OUTBOUND, Pair, empty, notify_contents};
use super::*;
use crate::crypto::cipher::{Aead, AesKey, GcmIcv};
use crate::ike::action::Command;
use crate::sa::command::DataReport;
use crate::sa::suite::{EsnOffer, EspOffer, ProtectionOffer};

fn pair() -> Pair {
    asking(Some(seconds(30)))
}

fn asking(after: Option<Duration>) -> Pair {
    Pair::with(|profile| {
        profile.dpd = after;
        let protection = ProtectionOffer::Aead(vec![Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)]);
        profile.child.offers = vec![EspOffer { protection, pfs: Vec::new(), esn: EsnOffer::Without }];
    })
}

fn went_both_ways() -> Pair {
    let mut pair = pair();
    use_both_ways(&mut pair);
    pair
}

fn use_both_ways(pair: &mut Pair) {
    pair.report(DataReport::OutboundSent { child: CHILD });
    pair.report(DataReport::InboundSeen { child: CHILD, spi: pair.inbound() });
    pair.advance(seconds(1));
}

/// A packet a second; questions are answered. What our side did in the second in which it asked for an SA or a session, and which that was.
fn asked_for_an_sa(pair: &mut Pair, mut each_second: impl FnMut(&mut Pair)) -> Option<(u64, Vec<Seen>)> {
    for second in 0..100 {
        pair.report(DataReport::OutboundSent { child: CHILD });
        let seen = pair.seen();
        for one in &seen {
            match one {
                Seen::Sent { exchange: CREATE_CHILD_SA, .. } | Seen::Event(Event::Expiring) => {
                    return Some((second, seen));
                }
                Seen::Sent { exchange: INFORMATIONAL, response: false, message_id, .. } => {
                    let answer = pair.peer.response(*message_id, INFORMATIONAL, &empty());
                    pair.receive(&answer);
                }
                _ => {}
            }
        }
        each_second(pair);
        pair.advance(seconds(1));
    }
    None
}

fn is_rekey(seen: &Seen) -> bool {
    let Seen::Sent { exchange: CREATE_CHILD_SA, content, .. } = seen else { return false };
    let is_it = |notify: &Notify| notify.kind == NotifyType::REKEY_SA && notify.spi == INBOUND.to_be_bytes();
    content.notifies.iter().any(is_it)
}

#[test]
fn k2_126_an_sa_whose_packets_go_out_only_is_rekeyed_and_made_anew_when_the_peer_does_not_know_it() {
    let mut pair = went_both_ways();
    let (second, seen) = asked_for_an_sa(&mut pair, |_| ()).expect("it is noticed");
    assert_eq!(second, 13);
    let [Seen::Event(Event::Notice(text)), rekey] = &seen[..] else { panic!("{seen:?}") };
    assert!(text.contains(&format!("{OUTBOUND:08x}")) && text.contains("for 13 s"), "{text}");
    assert!(is_rekey(rekey), "{rekey:?}");
    let Seen::Sent { message_id, .. } = rekey else { panic!("{rekey:?}") };
    let answer = notify_contents(NotifyType::CHILD_SA_NOT_FOUND, b"");
    let answer = pair.peer.response(*message_id, CREATE_CHILD_SA, &answer);
    pair.receive(&answer);
    let seen = pair.seen();
    assert!(matches!(seen[..], [Seen::Sent { exchange: CREATE_CHILD_SA, .. }]) && !is_rekey(&seen[0]), "{seen:?}");
}

#[test]
fn a_peer_that_sends_in_a_session_which_is_lost_here_gets_another_one() {
    let mut pair = went_both_ways();
    let (second, seen) = asked_for_an_sa(&mut pair, |pair| pair.report(DataReport::UnknownSpi { spi: 0x1234_5678 }))
        .expect("it is noticed");
    assert!((10..15).contains(&second), "{second}");
    let [Seen::Event(Event::Notice(text)), Seen::Event(Event::Expiring)] = &seen[..] else { panic!("{seen:?}") };
    assert!(text.contains("an SPI that is not ours"), "{text}");
}

#[test]
fn a_packet_that_comes_now_and_then_is_enough() {
    let mut pair = went_both_ways();
    let mut count = 0;
    let asked = asked_for_an_sa(&mut pair, |pair| {
        count += 1;
        if count % 8 == 0 {
            pair.report(DataReport::InboundSeen { child: CHILD, spi: pair.inbound() });
        }
    });
    assert_eq!(asked, None);
}

#[test]
fn what_never_went_both_ways_is_rekeyed_as_well() {
    let (_, seen) = asked_for_an_sa(&mut pair(), |_| ()).expect("the peer may have lost it before the first packet");
    assert!(seen.last().is_some_and(is_rekey), "{seen:?}");
}

#[test]
fn a_peer_that_does_not_answer_is_not_asked_for_an_sa() {
    let mut pair = went_both_ways();
    for _ in 0..20 {
        pair.report(DataReport::OutboundSent { child: CHILD });
        pair.advance(seconds(1));
    }
    let sent: Vec<Seen> = pair.seen().into_iter().filter(|seen| matches!(seen, Seen::Sent { .. })).collect();
    assert!(sent.len() > 1 && sent.iter().all(|seen| *seen == request(2, Informational::default())), "{sent:?}");
}

#[test]
fn a_peer_that_was_asked_before_is_asked_again_unless_nobody_wants_questions() {
    for (interval, questions) in [(Some(seconds(600)), 1), (None, 0)] {
        let mut pair = asking(interval);
        use_both_ways(&mut pair);
        pair.command(Command::ProbeLiveness);
        let answer = pair.peer.response(2, INFORMATIONAL, &empty());
        pair.receive(&answer);
        pair.advance(seconds(60));
        pair.seen();
        for _ in 0..5 {
            pair.report(DataReport::OutboundSent { child: CHILD });
            pair.advance(seconds(1));
        }
        let seen = pair.seen();
        let asked = seen.iter().filter(|seen| **seen == request(3, Informational::default())).count();
        assert_eq!(asked.min(1), questions, "{interval:?}: {seen:?}");
    }
}

#[cfg(feature = "daemon")]
#[test]
fn the_other_process_goes_on_counting() {
    let mut pair = went_both_ways();
    let asked = asked_for_an_sa(&mut pair, |pair| _ = pair.move_on());
    assert_eq!(asked.map(|(second, _)| second), Some(13));
}
