//! Questions of a given length: what they say of the path, and that nobody is given up for one.

use std::time::Duration;

use super::kit::*;
use crate::ike::action::{Command, Event, Failure, Probed};
use crate::ike::profile::Profile;
use crate::ike::v1::message::{Informational, Notify};
use crate::sa::command::{ChildId, DataReport};

const IP_UDP_AND_MARKER: usize = 20 + 8 + 4;
const ASK: Command = Command::ProbePath { octets: 1500 };

fn with_dpd(seconds: u64) -> Profile {
    Profile { dpd: Some(Duration::from_secs(seconds)), ..profile() }
}

fn probed(client: &Client) -> Vec<(u16, Probed)> {
    let told = client.told().into_iter();
    told.filter_map(
        |event| if let Event::PathProbed { octets, outcome } = event { Some((*octets, *outcome)) } else { None },
    )
    .collect()
}

fn number(peer: &Peer, message: &[u8]) -> u32 {
    let first = peer.open_news(message).notifies.remove(0);
    assert_eq!(first.kind, R_U_THERE, "the question stands first");
    u32::from_be_bytes(first.data.try_into().unwrap())
}

fn is_long(message: &[u8]) -> bool {
    message.len() > 500
}

#[test]
fn t_07_a_question_has_its_length_and_may_not_be_cut_and_its_answer_says_that_it_arrived() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd(30));
    let sent = client.command(ASK);
    let [question] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(question.len() + IP_UDP_AND_MARKER, 1500);
    let repeated = client.wait(1_000);
    assert!(repeated.len() >= 3 && repeated.iter().all(|again| again.len() == question.len()));
    assert_eq!(client.whole, [sent.clone(), repeated].concat());
    let answer = peer.acknowledge(question);
    assert!(client.receive(&answer).is_empty());
    assert_eq!(probed(&client), [(1500, Probed::Arrived)]);
    assert!(client.wait(50_000).is_empty(), "nothing is open");
}

#[test]
fn t_07_a_question_that_is_not_answered_is_put_without_its_length_and_only_the_answer_to_that_says_so() {
    let (mut client, mut peer, made) = up_with_answers(with_dpd(30));
    let long = client.command(ASK);
    client.wait(2_000);
    assert_eq!(probed(&client), []);
    let sent = client.wait(2_000);
    let short: Vec<_> = sent.iter().filter(|message| !is_long(message)).collect();
    assert_eq!(number(&peer, short[0]), number(&peer, &long[0]), "for whoever waits for it");
    assert!(short.iter().all(|message| !client.whole.contains(message)), "better in pieces than not at all");
    client.seen(0, made.client_spi);
    assert_eq!(probed(&client), [], "a packet says nothing of what is long");
    let answer = peer.acknowledge(short[0]);
    client.receive(&answer);
    assert_eq!(probed(&client), [(1500, Probed::Lost)]);
    assert_eq!(client.failure(), None);
    assert_eq!(client.command(ASK).iter().filter(|message| is_long(message)).count(), 1, "it can be asked again");
}

#[test]
fn t_07_the_late_answer_to_an_earlier_question_says_nothing_of_the_path() {
    let (mut client, mut peer, made) = up_with_answers(with_dpd(30));
    let earlier = client.command(Command::ProbeLiveness);
    client.seen(0, made.client_spi);
    let sent = client.command(ASK);
    assert_eq!(sent.iter().map(|message| is_long(message)).collect::<Vec<_>>(), [false, true]);
    assert_eq!(number(&peer, &sent[0]), number(&peer, &earlier[0]), "a strict gateway may wait for it");
    for question in [&earlier[0], &sent[0]] {
        let late = peer.acknowledge(question);
        client.receive(&late);
        assert_eq!(probed(&client), []);
    }
    let answer = peer.acknowledge(&sent[1]);
    client.receive(&answer);
    assert_eq!(probed(&client), [(1500, Probed::Arrived)]);
}

#[test]
fn t_07_a_gateway_that_answers_no_question_is_not_asked_again_and_not_given_up_while_it_sends() {
    let (mut client, _, made) = up_with_answers(with_dpd(5));
    client.command(ASK);
    for _ in 0..12 {
        client.wait(1_000);
        client.report(DataReport::OutboundSent { child: ChildId(0) });
        client.seen(0, made.client_spi);
    }
    assert_eq!(probed(&client), [(1500, Probed::Impossible)]);
    assert_eq!(client.failure(), None);
}

#[test]
fn t_07_a_gateway_is_not_given_up_for_a_question_sooner_than_for_its_silence() {
    let dead_after = |asked: bool| {
        let (mut client, ..) = up_with_answers(with_dpd(30));
        if asked {
            client.command(ASK);
        }
        client.wait(45_000);
        assert_eq!(client.failure(), None, "unused, it is asked after a minute");
        assert_eq!(probed(&client).len(), usize::from(asked));
        client.wait(50_000);
        let Some(Failure::PeerDead { silent }) = client.failure() else { panic!("{:?}", client.told()) };
        silent.as_secs()
    };
    // Repetitions do not come to the second.
    assert!(dead_after(true).abs_diff(dead_after(false)) <= 2);
    let (mut client, ..) = up_with_answers(profile());
    client.command(ASK);
    client.wait(600_000);
    assert_eq!(client.failure(), None, "without DPD it never is");
    assert_eq!(probed(&client), [(1500, Probed::Impossible)]);
}

#[test]
fn t_07_a_question_is_one_of_life_and_death_when_the_gateway_had_to_be_asked_anyway() {
    let (mut client, ..) = up_with_answers(with_dpd(5));
    client.report(DataReport::OutboundSent { child: ChildId(0) });
    client.wait(4_000);
    client.command(ASK);
    client.wait(9_000);
    let Some(Failure::PeerDead { silent }) = client.failure() else { panic!("{:?}", client.told()) };
    assert!(*silent < Duration::from_secs(13), "{silent:?}");
}

#[test]
fn t_07_a_question_gives_way_to_one_of_life_and_death_and_never_disturbs_it() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd(30));
    let long = client.command(ASK);
    let sent = client.command(Command::ProbeLiveness);
    assert_eq!(probed(&client), [(1500, Probed::Interrupted)]);
    assert_eq!(number(&peer, &sent[0]), number(&peer, &long[0]));
    assert!(sent.iter().all(|message| !is_long(message)), "short, at once");
    assert!(client.command(ASK).is_empty());
    assert_eq!(probed(&client), [(1500, Probed::Interrupted); 2]);
    let answer = peer.acknowledge(&sent[0]);
    client.receive(&answer);
    assert!(client.wait(1_000).is_empty());
}

#[test]
fn t_07_who_does_not_announce_dpd_is_not_asked() {
    let (mut client, ..) = up(with_dpd(30));
    assert!(client.command(ASK).is_empty());
    assert_eq!(probed(&client), [(1500, Probed::Impossible)]);
}

#[test]
fn t_07_a_question_ends_with_its_sa() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd(30));
    client.command(ASK);
    let delete = crate::ike::v1::informational::delete_isakmp(peer.sa.cookies);
    let delete = peer.inform(&delete);
    client.receive(&delete);
    assert_eq!(probed(&client), [(1500, Probed::Interrupted)]);
}

#[test]
fn t_07_questions_of_any_length_are_sealed_and_shorter_than_asked_by_less_than_a_block() {
    for octets in (680..1600).step_by(7) {
        let (mut client, mut peer, _) = up_with_answers(with_dpd(30));
        let sent = client.command(Command::ProbePath { octets });
        let length = u16::try_from(sent[0].len() + IP_UDP_AND_MARKER).unwrap();
        assert!(length <= octets && octets - length < 16, "{octets}: {length}");
        let answer = peer.acknowledge(&sent[0]);
        client.receive(&answer);
        assert_eq!(probed(&client), [(length, Probed::Arrived)], "and it says how long it was");
    }
}

#[test]
fn t_07_a_question_is_one_that_every_gateway_knows_and_a_notify_that_says_nothing() {
    let (mut client, peer, _) = up_with_answers(with_dpd(30));
    let sent = client.command(ASK);
    let Informational { notifies, deletes } = peer.open_news(&sent[0]);
    let [question, Notify { kind, data, .. }] = &notifies[..] else { panic!("{notifies:?}") };
    assert_eq!((question.data.len(), deletes.len()), (4, 0), "RFC 3706 §5.3");
    assert!((32_768..40_960).contains(kind), "RFC 2408 §3.14.1: for private use");
    assert!(data.iter().all(|octet| *octet == 0));
}
