//! The session goes on in another process.

use proptest::prelude::*;

use super::kit::*;
use crate::ike::action::{Command, DropReason};
use crate::ike::profile::Profile;
use crate::ike::v1::established::{Established, EstablishedState};
use crate::ike::v1::message::{Informational, Notify};

fn with_dpd() -> Profile {
    Profile { dpd: Some(std::time::Duration::from_secs(30)), ..profile() }
}

fn question(peer: &mut Peer, number: u32) -> Vec<u8> {
    let spi = [[1; 8], [0x81; 8]].concat();
    let notify = Notify { protocol: 1, spi, kind: R_U_THERE, data: number.to_be_bytes().to_vec() };
    peer.inform(&Informational { notifies: vec![notify], ..Informational::default() })
}

#[test]
fn a_quick_mode_whose_last_message_was_lost_gets_it_again_from_the_other_process() {
    let (mut client, mut peer, _) = {
        let mut peer = Peer::new();
        let mut client = Client::new(profile());
        let (answer, made) = peer.answer(&client.last_sent_quick());
        let confirmation = client.receive(&answer);
        client.move_on().unwrap();
        assert_eq!(client.receive(&answer), confirmation);
        (client, peer, made)
    };
    let (request, _) = peer.ask(host(), subnet("10.250.0.0/24"));
    assert_eq!(client.receive(&request).len(), 1, "and a new one is answered under the same keys");
}

#[test]
fn what_the_gateway_said_before_is_a_replay_in_the_other_process() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd());
    let old = question(&mut peer, 700);
    assert_eq!(client.receive(&old).len(), 1);
    client.move_on().unwrap();
    assert!(client.receive(&old).is_empty());
    assert_eq!(client.drops().last(), Some(&DropReason::OutsideWindow));
    let stale = question(&mut peer, 699);
    assert!(client.receive(&stale).is_empty(), "its numbers go on, too");
    let new = question(&mut peer, 701);
    assert_eq!(client.receive(&new).len(), 1);
}

#[test]
fn k1_016_our_questions_go_on_with_the_next_number() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd());
    let mut numbers = Vec::new();
    for _ in 0..3 {
        client.move_on().unwrap();
        let asked = client.command(Command::ProbeLiveness);
        let data = peer.open_news(&asked[0]).notifies.remove(0).data;
        numbers.push(u32::from_be_bytes(data.try_into().unwrap()));
        assert!(client.move_on().unwrap_err().contains("not answered"));
        let acknowledgement = peer.acknowledge(&asked[0]);
        client.receive(&acknowledgement);
    }
    assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
}

#[test]
fn nothing_is_carried_while_an_sa_is_made_or_not_yet_in_use() {
    let mut peer = Peer::new();
    let mut client = Client::new(profile());
    assert!(client.move_on().unwrap_err().contains("being made"));
    let (answer, _) = peer.answer(&client.last_sent_quick());
    client.receive(&answer);
    assert!(client.move_on().is_ok());
    let (request, mut made) = peer.ask(host(), subnet("10.250.0.0/24"));
    let answer = client.receive(&request).remove(0);
    assert!(client.move_on().is_err());
    let (confirmation, _) = peer.confirm(&mut made, &answer);
    client.receive(&confirmation);
    assert!(client.move_on().is_ok());
}

#[test]
fn what_is_carried_a_second_time_is_the_same_and_its_deadlines_are_too() {
    let (mut client, mut peer, _) = up_with_answers(living_for(with_dpd(), 3600));
    let asked = question(&mut peer, 700);
    client.receive(&asked);
    let deadline = client.poll_timeout();
    let carried = client.move_on().unwrap();
    assert_eq!(client.poll_timeout(), deadline);
    assert_eq!(client.move_on().unwrap(), carried);
}

fn restored(text: &[u8]) -> Option<Established> {
    let state = serde_json::from_slice::<EstablishedState>(text).ok()?;
    let crate::ike::profile::Protocol::Ikev1(settings) = profile().protocol else { panic!("IKEv1") };
    Established::restore(&profile(), settings, state).ok()
}

#[test]
fn a_session_that_cannot_be_is_refused() {
    let carried = up(profile()).0.move_on().unwrap();
    assert!(restored(carried.as_bytes()).is_some());
    assert!(restored(carried.replacen('{', "{\"of_a_later_release\":{},", 1).as_bytes()).is_some());
    for (right, wrong) in [
        ("\"base\":\"", "\"base\":\"00"),
        ("\"CbcHmac\"", "\"Null\""),
        ("\"older\":[]", "\"older\":[0]"),
        ("\"initiator\":[1,", "\"initiator\":[1,1,"),
    ] {
        assert!(carried.contains(right), "{right} in {carried}");
        assert!(restored(carried.replacen(right, wrong, 1).as_bytes()).is_none(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_damage_makes_a_panic(position in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut carried = up(profile()).0.move_on().unwrap().into_bytes();
        *position.get_mut(&mut carried) = octet;
        if let Some(established) = restored(&carried) {
            established.poll_timeout();
            established.status();
        }
    }
}
