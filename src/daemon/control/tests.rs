use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::protocol::{BadRequest, LONGEST_REQUEST, answer};
use super::*;

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vpnd-control-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("vpnd0.sock")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What the caller at `path` is answered that sends `octets`; the request, if there is one, is answered with its own name.
fn asked(path: &Path, octets: &[u8]) -> Option<Value> {
    let runtime = runtime();
    runtime.block_on(async {
        let mut control = Control::open(path).unwrap();
        let octets = octets.to_vec();
        let path = path.to_owned();
        let client = tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            // The other side may have heard enough.
            let _ = stream.write_all(&octets);
            let _ = stream.shutdown(Shutdown::Write);
            let mut line = String::new();
            let _ = BufReader::new(stream).read_line(&mut line);
            line
        });
        tokio::pin!(client);
        let line = loop {
            tokio::select! {
                mut call = control.next() => call.caller.answer(&answer("heard", json!({}))).unwrap(),
                line = &mut client => break line.unwrap(),
            }
        };
        serde_json::from_str(&line).ok()
    })
}

fn reason(answer: Option<Value>) -> String {
    let answer = answer.expect("an answer");
    assert_eq!(answer["answer"], "refused", "{answer}");
    answer["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_request_is_handed_on_and_answered() {
    let scratch = Scratch::new();
    let answer = asked(&scratch.socket(), &Request::Status.to_line()).unwrap();
    assert_eq!(answer, json!({ "version": 1, "answer": "heard" }));
}

#[test]
fn v_32_every_request_that_is_none_is_refused_with_its_reason() {
    let long = [b"{\"version\":1,\"status\":{}}".to_vec(), vec![b' '; LONGEST_REQUEST], b"\n".to_vec()].concat();
    for (octets, fault) in [
        (&b""[..], BadRequest::Unfinished),
        (b"{\"version\":1,\"status\":{}}", BadRequest::Unfinished),
        (b"\n", BadRequest::NoObject),
        (b"[1]\n", BadRequest::NoObject),
        (b"{\"version\":1,\"status\":{}\n", BadRequest::NoObject),
        (b"{\"version\":1,\"status\":{}} {}\n", BadRequest::NoObject),
        (b"\xff\xfe\n", BadRequest::NoObject),
        (b"{\"status\":{}}\n", BadRequest::Version),
        (b"{\"version\":2,\"status\":{}}\n", BadRequest::Version),
        (b"{\"version\":\"1\",\"status\":{}}\n", BadRequest::Version),
        (b"{\"version\":1}\n", BadRequest::Unknown),
        (b"{\"version\":1,\"psk\":{}}\n", BadRequest::Unknown),
        (b"{\"version\":1,\"status\":{},\"statvs\":{}}\n", BadRequest::Unknown),
        (b"{\"version\":1,\"status\":[]}\n", BadRequest::Arguments("status")),
        (b"{\"version\":1,\"status\":{\"keys\":true}}\n", BadRequest::Arguments("status")),
        (b"{\"version\":1,\"status\":{}}\n{\"version\":1,\"status\":{}}\n", BadRequest::NotAlone),
        (&long, BadRequest::TooLong),
    ] {
        let scratch = Scratch::new();
        assert_eq!(
            reason(asked(&scratch.socket(), octets)),
            fault.to_string(),
            "{:?}",
            String::from_utf8_lossy(octets)
        );
    }
}

#[test]
fn v_32_a_request_of_thousands_of_brackets_is_refused() {
    for nested in ["[", "{\"version\":", "{\"a\":"] {
        let octets = [nested.repeat(LONGEST_REQUEST / nested.len() - 1).into_bytes(), b"\n".to_vec()].concat();
        assert_eq!(Request::read(&octets), Err(BadRequest::NoObject));
    }
}

proptest! {
    #[test]
    fn v_32_no_octets_make_a_request_but_the_right_ones(octets in prop::collection::vec(any::<u8>(), 0..5000)) {
        prop_assert!(Request::read(&octets).is_err());
    }

    #[test]
    fn v_32_a_request_with_a_wrong_octet_is_none_or_means_the_same(place in 0_usize..26, octet: u8) {
        let mut line = Request::Status.to_line();
        if let Some(changed) = line.get_mut(place) {
            *changed = octet;
        }
        if let Ok(request) = Request::read(&line) {
            prop_assert_eq!(request, Request::Status);
        }
    }

    #[test]
    fn v_32_whatever_follows_a_refusal_never_shows_what_was_sent(word in "[a-z]{12}") {
        let line = format!("{{\"version\":1,\"{word}\":{{\"{word}\":\"{word}\"}}}}\n");
        let fault = Request::read(line.as_bytes()).unwrap_err();
        prop_assert!(!fault.to_string().contains(&word));
    }
}

#[test]
fn v_32_more_callers_than_there_is_room_for_are_refused_counted_and_welcome_again() {
    let scratch = Scratch::new();
    let path = scratch.socket();
    runtime().block_on(async {
        let mut control = Control::open(&path).unwrap();
        let callers: Vec<UnixStream> = (0..MOST_CALLERS).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let mut held = Vec::new();
        for mut caller in &callers {
            caller.write_all(&Request::Status.to_line()).unwrap();
            held.push(control.next().await);
        }
        let refused = UnixStream::connect(&path).unwrap();
        let mut line = String::new();
        let line = tokio::task::spawn_blocking(move || BufReader::new(refused).read_line(&mut line).map(|_| line));
        assert!(line.await.unwrap().unwrap().contains("try again"));
        assert_eq!(control.refused().to_json()["busy"], 1);
        held.pop();
        let mut next = UnixStream::connect(&path).unwrap();
        next.write_all(&Request::Status.to_line()).unwrap();
        assert_eq!(control.next().await.request, Request::Status);
    });
}

#[test]
fn v_32_who_does_not_read_holds_nobody_up() {
    let scratch = Scratch::new();
    let path = scratch.socket();
    runtime().block_on(async {
        let mut control = Control::open(&path).unwrap();
        let mut deaf = UnixStream::connect(&path).unwrap();
        deaf.write_all(&Request::Status.to_line()).unwrap();
        let mut call = control.next().await;
        let answer = answer("status", json!({ "text": "x".repeat(10_000) }));
        assert!((0..1000).any(|_| call.caller.answer(&answer).is_err()));
    });
}

#[test]
fn the_connection_can_be_taken_over() {
    let scratch = Scratch::new();
    let path = scratch.socket();
    runtime().block_on(async {
        let mut control = Control::open(&path).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(&Request::Status.to_line()).unwrap();
        let (mut stream, _permit) = control.next().await.caller.into_stream();
        stream.write_all(b"raw").unwrap();
        let mut octets = [0; 3];
        client.read_exact(&mut octets).unwrap();
        assert_eq!(&octets, b"raw");
    });
}

#[test]
fn l_11_v_32_the_socket_is_its_owners_alone_and_goes_with_its_process() {
    let scratch = Scratch::new();
    let path = scratch.socket();
    runtime().block_on(async {
        let control = Control::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&scratch.0).unwrap().permissions().mode() & 0o777, 0o700);
        drop(control);
        assert!(!path.exists());
    });
}

#[test]
fn l_11_v_32_a_directory_that_others_can_write_holds_no_socket() {
    let scratch = Scratch::new();
    fs::create_dir(&scratch.0).unwrap();
    for mode in [0o777, 0o1777] {
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(mode)).unwrap();
        let error = runtime().block_on(async { Control::open(&scratch.socket()).unwrap_err() });
        assert!(error.to_string().contains("can be written by everybody"), "{error}");
        assert!(!scratch.socket().exists());
    }
}

#[test]
fn the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_never() {
    let scratch = Scratch::new();
    let path = scratch.socket();
    fs::create_dir(&scratch.0).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    runtime().block_on(async {
        let error = Control::open(&path).unwrap_err();
        assert!(error.to_string().contains("somebody listens"), "{error}");
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        // Its file stays, as after kill -9.
        drop(listener);
        let control = Control::open(&path).unwrap();
        assert!(Control::open(&path).is_err());
        UnixStream::connect(&path).unwrap();
        drop(control);
    });
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let scratch = Scratch::new();
    fs::create_dir(&scratch.0).unwrap();
    fs::write(scratch.socket(), "a file").unwrap();
    let error = runtime().block_on(async { Control::open(&scratch.socket()).unwrap_err() });
    assert!(error.to_string().contains("is no socket"), "{error}");
    assert_eq!(fs::read_to_string(scratch.socket()).unwrap(), "a file");
}

#[test]
fn a_socket_that_another_has_put_in_our_place_is_not_removed() {
    let scratch = Scratch::new();
    let path = scratch.socket();
    runtime().block_on(async {
        let control = Control::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(control);
        assert!(path.exists());
    });
}
