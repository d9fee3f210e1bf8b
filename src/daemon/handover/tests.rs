use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::channel::{Channel, What};
use super::*;

fn pair() -> (Channel, Channel, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    let raw = other.try_clone().unwrap();
    let limit = Duration::from_secs(10);
    (Channel::new(one, limit).unwrap(), Channel::new(other, limit).unwrap(), raw)
}

#[test]
fn a_line_its_descriptors_and_a_long_text_arrive_apart_from_each_other() {
    use std::os::fd::AsFd;
    let (mut one, mut other, raw) = pair();
    let text: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    let sent = text.clone();
    let sender = thread::spawn(move || {
        one.say_with(&json!({ "what": [What::Device, What::Lock] }), &[raw.as_fd(), raw.as_fd()]).unwrap();
        one.send_text(&sent).unwrap();
        one.hear().unwrap().0
    });
    let (line, descriptors) = other.hear().unwrap();
    assert_eq!((line["what"][1].as_str(), descriptors.len()), (Some("lock"), 2));
    assert!(*other.receive_text(text.len()).unwrap() == text);
    other.say(&json!({ "ready": true })).unwrap();
    assert_eq!(sender.join().unwrap(), json!({ "ready": true }));
}

#[test]
fn what_is_no_line_is_an_error_and_an_end_is_one_too() {
    use std::io::Write;
    for octets in [&b"no object\n"[..], b"{\"cut\":", &[b'['; 5000]] {
        let (mut one, other, mut raw) = pair();
        raw.write_all(octets).unwrap();
        drop((raw, other));
        assert!(one.hear().is_err());
    }
}

fn example() -> String {
    // As a tunnel that is not up has it; sessions and SAs have their own tests.
    json!({
        "clock": { "now": { "secs": 5, "nanos": 0 }, "boot": { "secs": 9, "nanos": 0 } },
        "held_at": { "secs": 5, "nanos": 0 },
        "tunnel": {
            "connected": null, "succession": null, "return_at": null, "next_name": 1,
            "displacement": { "ends": [], "rounds": 0 }, "earlier": { "ipv4": null, "ipv6": null },
        },
        "data": {
            "outbound": { "children": [], "mtu": null, "sent_since_keepalive": false },
            "inbound": { "sas": [], "peer": null, "mtu": null },
            "gateways": [],
        },
        "host": { "key": "vpnd0", "directory": null, "filter": null, "done": [] },
        "offload": "Header",
        "marks": { "key": [1, 2], "marks": {} },
        "of_a_later_release": [1, 2, 3],
    })
    .to_string()
}

#[test]
fn a_state_is_read_with_what_a_later_release_adds_and_written_again_without() {
    let state = State::decode(example().as_bytes()).unwrap();
    let again = String::from_utf8(state.encode().unwrap().to_vec()).unwrap();
    assert!(!again.contains("later_release"));
    assert_eq!(*State::decode(again.as_bytes()).unwrap().encode().unwrap(), again.into_bytes());
}

#[test]
fn an_error_says_where_it_is_and_never_what_stands_there() {
    let damaged = example().replace("\"offload\":\"Header\"", "\"offload\":\"c0ffee00c0ffee\"");
    let Err(error) = State::decode(damaged.as_bytes()) else { panic!("no such step") };
    assert!(error.to_string().contains("at octet") && !error.to_string().contains("c0ffee"), "{error}");
}

proptest! {
    #[test]
    fn no_octets_make_a_panic(octets in prop::collection::vec(any::<u8>(), 0..300), place in any::<prop::sample::Index>(), octet in any::<u8>()) {
        State::decode(&octets).ok();
        let mut damaged = example().into_bytes();
        *place.get_mut(&mut damaged) = octet;
        if let Ok(state) = State::decode(&damaged) {
            state.encode().unwrap();
        }
    }
}
