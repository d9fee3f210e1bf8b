//! A stream of numbered packets that is answered packet by packet: what was lost, doubled and reordered each way, and the longest silence.
//!
//! `stream` says READY, then STEADY when answers come without a gap. Words on standard input, one a line:
//!
//!     mark        from here on the longest silence is looked for
//!     settle MS   what was to happen has happened: BACK and the length of that silence in milliseconds is printed once answers have
//!                 come without a gap for a second, though no sooner than after so many milliseconds
//!     end         stops sending, waits for the last answers, and prints what became of all
//!
//! A packet: the marker, the stream's number, its own number, and in an answer how many the other side had answered before.

use std::collections::HashMap;
use std::io::BufRead as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{MARKER, Outcome};

const LEN: usize = MARKER.len() + 24;
/// Longer than any way through a lab takes.
const LAST_ANSWERS: Duration = Duration::from_millis(700);
/// Answers for as long as this without a gap are a stream that flows again.
const STEADY: Duration = Duration::from_secs(1);

fn write(packet: &mut [u8; LEN], at: usize, number: u64) {
    packet[MARKER.len() + 8 * at..][..8].copy_from_slice(&number.to_be_bytes());
}

fn read(packet: &[u8; LEN], at: usize) -> u64 {
    packet[MARKER.len() + 8 * at..][..8].iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

/// Answers packets of inner addresses, and no others: what came in clear is not to look like a tunnel.
pub(crate) fn echo(at: &str) -> Outcome {
    let socket = bind(at)?;
    println!("READY");
    let ended = crate::until_input_ends();
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut answered: HashMap<u64, u64> = HashMap::new();
    let mut packet = [0_u8; LEN];
    while !ended.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut packet) else { continue };
        let is_inner = matches!(from.ip(), IpAddr::V4(address) if address.octets()[..2] == [10, 200]);
        if len != LEN || !is_inner {
            continue;
        }
        let count = answered.entry(read(&packet, 0)).or_default();
        write(&mut packet, 2, *count);
        *count += 1;
        // No room, or no route while the tunnel is away: lost like on the wire.
        let _ = socket.send_to(&packet, from);
    }
    println!("{{\"streams\": {}}}", answered.len());
    Ok(())
}

/// A socket with room for what comes while this process does not run.
fn bind(at: &str) -> std::io::Result<UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.bind(&at.parse::<SocketAddr>().map_err(std::io::Error::other)?.into())?;
    Ok(socket.into())
}

/// One answer: the packet's number, its place in the order in which the other side answered, and when it came.
#[derive(Clone, Copy)]
struct Answer {
    number: u64,
    place: u64,
}

struct State {
    answers: Vec<Answer>,
    last: Instant,
    /// Since when answers have come without a gap.
    flows_since: Instant,
    is_steady: bool,
    mark: Option<Mark>,
}

struct Mark {
    until: Option<Instant>,
    longest: Duration,
}

impl State {
    /// Books an answer that came at `now`, where `gap` and longer is a silence.
    fn book(&mut self, answer: Answer, now: Instant, gap: Duration) {
        let silence = now - self.last;
        if silence > gap {
            self.flows_since = now;
        }
        if let Some(mark) = &mut self.mark {
            mark.longest = mark.longest.max(silence);
        }
        self.last = now;
        self.answers.push(answer);
        let flows = now - self.flows_since >= STEADY;
        if flows && !self.is_steady {
            self.is_steady = true;
            println!("STEADY");
        }
        if flows && self.mark.as_ref().is_some_and(|mark| mark.until.is_some_and(|until| now >= until)) {
            let longest = self.mark.take().map_or(Duration::ZERO, |mark| mark.longest);
            println!("BACK {:.1}", longest.as_secs_f64() * 1e3);
        }
    }
}

pub(crate) fn stream(to: &str, rate: &str) -> Outcome {
    let to: SocketAddr = to.parse()?;
    let interval = Duration::from_secs_f64(1.0 / rate.parse::<f64>()?);
    // Not connected: the source address is chosen anew for each packet, and no ICMP error stops the stream.
    let socket = Arc::new(bind("0.0.0.0:0")?);
    let now = Instant::now();
    let state = State { answers: Vec::new(), last: now, flows_since: now, is_steady: false, mark: None };
    let state = Arc::new(Mutex::new(state));
    let stop = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicU64::new(0));
    let id = u64::from(std::process::id()) << 32 | u64::from(socket.local_addr()?.port());

    let sender = std::thread::spawn({
        let (socket, stop, refused) = (Arc::clone(&socket), Arc::clone(&stop), Arc::clone(&refused));
        move || send(&socket, to, id, interval, &stop, &refused)
    });
    std::thread::spawn({
        let state = Arc::clone(&state);
        let gap = (interval * 5).max(Duration::from_millis(100));
        move || receive(&socket, id, &state, gap)
    });
    println!("READY");
    for line in std::io::stdin().lock().lines() {
        match line?.split_whitespace().collect::<Vec<_>>()[..] {
            ["mark"] => locked(&state).mark = Some(Mark { until: None, longest: Duration::ZERO }),
            ["settle", milliseconds] => {
                let until = Instant::now() + Duration::from_millis(milliseconds.parse()?);
                if let Some(mark) = &mut locked(&state).mark {
                    mark.until = Some(until);
                }
            }
            ["end"] => break,
            _ => return Err("the words are: mark, settle MS, end".into()),
        }
    }
    stop.store(true, Ordering::Relaxed);
    let sent = sender.join().map_err(|_| "the sender panicked")?;
    std::thread::sleep(LAST_ANSWERS);
    println!("{}", told(sent, refused.load(Ordering::Relaxed), &locked(&state).answers));
    Ok(())
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn send(
    socket: &UdpSocket,
    to: SocketAddr,
    id: u64,
    interval: Duration,
    stop: &AtomicBool,
    refused: &AtomicU64,
) -> u64 {
    let mut packet = [0_u8; LEN];
    packet[..MARKER.len()].copy_from_slice(MARKER);
    write(&mut packet, 0, id);
    let begun = Instant::now();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let due = begun + interval.mul_f64(number as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        write(&mut packet, 1, number);
        if socket.send_to(&packet, to).is_err() {
            refused.fetch_add(1, Ordering::Relaxed);
        }
        number += 1;
    }
    number
}

fn receive(socket: &UdpSocket, id: u64, state: &Mutex<State>, gap: Duration) {
    let mut packet = [0_u8; LEN];
    loop {
        let Ok((LEN, _)) = socket.recv_from(&mut packet) else { continue };
        if read(&packet, 0) == id {
            let answer = Answer { number: read(&packet, 1), place: read(&packet, 2) };
            locked(state).book(answer, Instant::now(), gap);
        }
    }
}

/// What became of the packets, as JSON. `refused` are those that the host did not take, which are lost, too.
fn told(sent: u64, refused: u64, answers: &[Answer]) -> String {
    let mut numbers: Vec<u64> = answers.iter().map(|answer| answer.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut there = answers.to_vec();
    there.sort_unstable_by_key(|answer| answer.place);
    let all = there.len();
    there.dedup_by_key(|answer| answer.place);
    let doubled_back = all - there.len();
    let doubled_there = there.len() - numbers.len();
    let late = |order: Vec<u64>| {
        let mut highest = None;
        let falls_behind = |number: &&u64| {
            let is_late = highest.is_some_and(|highest| **number < highest);
            highest = highest.max(Some(**number));
            is_late
        };
        order.iter().filter(falls_behind).count()
    };
    let reordered_there = late(there.iter().map(|answer| answer.number).collect());
    let reordered_back = late(answers.iter().map(|answer| answer.place).collect());
    format!(
        r#"{{"sent": {sent}, "answered": {}, "lost": {}, "refused": {refused}, "doubled": {}, "reordered": {}}}"#,
        numbers.len(),
        sent - numbers.len() as u64,
        doubled_there + doubled_back,
        reordered_there + reordered_back,
    )
}
