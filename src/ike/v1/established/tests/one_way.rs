//! Packets go out, and none comes back, although the gateway answers.

use std::time::Duration;

use super::kit::*;
use crate::ike::action::{Event, Failure, Side};
use crate::ike::profile::Profile;
use crate::sa::command::{ChildId, DataReport, LifetimeMark};

fn with_dpd(profile: Profile) -> Profile {
    Profile { dpd: Some(Duration::from_secs(30)), ..profile }
}

fn use_both_ways(client: &mut Client, child: u32) {
    client.report(DataReport::OutboundSent { child: ChildId(child) });
    let spi = client.installed()[child as usize].spi;
    client.report(DataReport::InboundSeen { child: ChildId(child), spi });
}

const QUICK_MODE: u8 = 32;

/// A packet a second in this child; questions are answered. The second in which a quick mode began.
fn quick_mode_after(
    client: &mut Client,
    peer: &mut Peer,
    child: u32,
    mut each_second: impl FnMut(&mut Client),
) -> Option<u64> {
    for second in 0..100 {
        let mut sent = client.report(DataReport::OutboundSent { child: ChildId(child) });
        if sent.iter().any(|message| message[18] == QUICK_MODE) {
            return Some(second);
        }
        each_second(client);
        sent.extend(client.wait(1_000));
        for question in sent {
            let answer = peer.acknowledge(&question);
            client.receive(&answer);
        }
    }
    None
}

fn notices(client: &Client) -> Vec<&String> {
    client
        .told()
        .into_iter()
        .filter_map(|told| if let Event::Notice(text) = told { Some(text) } else { None })
        .collect()
}

#[test]
fn k1_017_a_child_whose_packets_go_out_only_is_negotiated_anew() {
    let (mut client, mut peer, old) = up_with_answers(with_dpd(profile()));
    use_both_ways(&mut client, 0);
    client.wait(1_000);
    assert_eq!(quick_mode_after(&mut client, &mut peer, 0, |_| ()), Some(12));
    let text = notices(&client).pop().expect("it is told");
    let spi = u32::from_be_bytes(old.gateway_spi);
    assert!(text.contains(&format!("{spi:08x}")) && text.contains("for 12 s"), "{text}");
    let (answer, new) = peer.answer(&client.last_sent_quick());
    client.receive(&answer);
    client.wait(2_000);
    assert_eq!(client.switched().last().unwrap().spi.to_octets(), new.gateway_spi);
    assert!(matches!(client.told().last(), Some(Event::ChildRekeyed { by: Side::Us, .. })));
    assert_eq!(quick_mode_after(&mut client, &mut peer, 0, |_| ()), None, "there were no more packets both ways");
    assert_eq!(notices(&client).len(), 1);
}

#[test]
fn a_gateway_that_sends_in_a_session_which_is_lost_here_gets_another_one() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd(profile()));
    use_both_ways(&mut client, 0);
    client.wait(1_000);
    let unknown = |client: &mut Client| _ = client.report(DataReport::UnknownSpi { spi: 0x1234_5678 });
    assert_eq!(quick_mode_after(&mut client, &mut peer, 0, unknown), None, "it would change nothing");
    assert!(notices(&client).iter().any(|text| text.contains("an SPI that is not ours")));
    assert_eq!(client.told().iter().filter(|event| matches!(event, Event::Expiring)).count(), 1);
}

#[test]
fn of_several_children_only_the_silent_one_is_negotiated_anew() {
    let profile = with_dpd(reaching(profile(), &["10.250.0.0/24", "10.251.0.0/24"]));
    let (mut client, mut peer, _) = up_with_answers(profile);
    use_both_ways(&mut client, 0);
    use_both_ways(&mut client, 1);
    client.wait(1_000);
    let asked = quick_mode_after(&mut client, &mut peer, 1, |client| use_both_ways(client, 0));
    assert_eq!(asked, Some(12), "what comes in the other is a sign of life");
    let (_, request, _) = peer.open_quick(&client.last_sent_quick());
    let (_, theirs) = request.identifications.expect("of a pair of subnets");
    assert_eq!(theirs, identification(subnet("10.251.0.0/24")));
    assert_eq!(notices(&client).len(), 1);
}

#[test]
fn a_child_that_the_gateway_may_never_have_had_is_negotiated_once_more_and_then_left_alone() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd(profile()));
    client.wait(60_000);
    assert!(quick_mode_after(&mut client, &mut peer, 0, |_| ()).is_some_and(|second| second < 20));
    let (answer, _) = peer.answer(&client.last_sent_quick());
    client.receive(&answer);
    client.wait(600_000);
    assert_eq!(quick_mode_after(&mut client, &mut peer, 0, |_| ()), None);
}

/// A tunnel to a gateway that announced no DPD.
fn up_without_answers(profile: Profile) -> (Client, Peer) {
    let (mut client, peer, _) = up(profile);
    use_both_ways(&mut client, 0);
    client.wait(1_000);
    (client, peer)
}

#[test]
fn k1_016_a_gateway_without_dpd_is_asked_by_a_quick_mode_and_dead_without_an_answer() {
    let (mut client, mut peer) = up_without_answers(with_dpd(profile()));
    assert!(client.wait(600_000).is_empty(), "whoever sends nothing loses nothing");
    assert_eq!(quick_mode_after(&mut client, &mut peer, 0, |_| ()), Some(11));
    assert!(notices(&client).pop().is_some_and(|text| text.contains("announced no DPD")));
    let asked = client.now;
    while client.failure().is_none() {
        client.report(DataReport::OutboundSent { child: ChildId(0) });
        client.wait(1_000);
        assert!(client.now.since(asked) < Duration::from_secs(180), "it is dead");
    }
    assert!(matches!(client.failure(), Some(Failure::PeerDead { .. })), "{:?}", client.failure());
}

#[test]
fn k1_016_a_gateway_without_dpd_that_lost_the_child_gets_another_and_goes_on() {
    let (mut client, mut peer) = up_without_answers(with_dpd(profile()));
    assert_eq!(quick_mode_after(&mut client, &mut peer, 0, |_| ()), Some(11));
    let (answer, _) = peer.answer(&client.last_sent_quick());
    client.receive(&answer);
    client.wait(2_000);
    use_both_ways(&mut client, 0);
    assert_eq!((client.failure(), client.switched().len()), (None, 2));
}

#[test]
fn k1_016_a_gateway_without_dpd_that_gave_another_sign_of_life_is_not_dead() {
    let (mut client, mut peer) = up_without_answers(with_dpd(profile()));
    assert!(quick_mode_after(&mut client, &mut peer, 0, |_| ()).is_some());
    client.wait(10_000);
    let spi = client.installed()[0].spi;
    client.report(DataReport::InboundSeen { child: ChildId(0), spi });
    client.wait(300_000);
    assert_eq!(client.failure(), None);
}

#[test]
fn k1_016_nobody_is_asked_by_a_quick_mode_where_questions_are_switched_off() {
    let (mut client, mut peer) = up_without_answers(Profile { dpd: None, ..profile() });
    assert_eq!(quick_mode_after(&mut client, &mut peer, 0, |_| ()), None);
}

#[cfg(feature = "daemon")]
#[test]
fn the_other_process_goes_on_counting() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd(profile()));
    use_both_ways(&mut client, 0);
    client.wait(1_000);
    let after = quick_mode_after(&mut client, &mut peer, 0, |client| _ = client.move_on());
    assert_eq!(after, Some(12));
}

#[test]
fn an_sa_that_was_replaced_for_another_reason_has_as_much_time_as_the_one_before() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd(profile()));
    use_both_ways(&mut client, 0);
    client.wait(1_000);
    for _ in 0..8 {
        client.report(DataReport::OutboundSent { child: ChildId(0) });
        for question in client.wait(1_000) {
            let answer = peer.acknowledge(&question);
            client.receive(&answer);
        }
    }
    client.report(DataReport::Lifetime { child: ChildId(0), mark: LifetimeMark::Soft });
    let (answer, _) = peer.answer(&client.last_sent_quick());
    client.receive(&answer);
    client.wait(2_000);
    assert_eq!(client.switched().len(), 2);
    assert!(quick_mode_after(&mut client, &mut peer, 0, |_| ()).is_some_and(|second| second > 10));
}
