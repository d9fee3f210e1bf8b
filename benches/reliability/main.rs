//! What `make reliability` runs in its network namespaces.
//!
//!     reliability bridge SEED LOSES DOUBLES HOLDS HELD_MS DELAY_MS NEAR FAR   a bad road between two devices
//!     reliability echo ADDRESS                 answers numbered packets that come from inside addresses
//!     reliability stream ADDRESS RATE          sends them, and says what became of them
//!     reliability watch DEVICE                 counts what passes in clear
//!
//! Each says READY when it works and goes on until standard input ends; then it prints one line of JSON. `stream` takes words: see `stream.rs`.

// A lab has a clock, and it is the wall's.
#![allow(clippy::disallowed_methods)]

#[path = "../../tests/interop/bridge.rs"]
mod bridge;
mod stream;
mod watch;

use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bridge::{Bridge, Counts, Road};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Every packet of a stream begins with it, so that it can be looked for.
const MARKER: &[u8] = b"this must never be seen in clear; ";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["bridge", seed, loses, doubles, holds, held, delay, near, far] => {
            carry([seed, loses, doubles, holds, held, delay], [near, far])
        }
        ["echo", at] => stream::echo(at),
        ["stream", to, rate] => stream::stream(to, rate),
        ["watch", device] => watch::watch(device, &until_input_ends()),
        _ => Err("see the head of benches/reliability/main.rs".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reliability: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry([seed, loses, doubles, holds, held, delay]: [&str; 6], devices: [&str; 2]) -> Outcome {
    let road = Road {
        seed: seed.parse()?,
        loses: loses.parse()?,
        doubles: doubles.parse()?,
        holds: holds.parse()?,
        held: Duration::from_millis(held.parse()?),
        delay: Duration::from_millis(delay.parse()?),
    };
    let bridge = Bridge::between(devices, road)?;
    println!("READY");
    let shown = |Counts { seen, lost, doubled, held, refused }: Counts| {
        format!(r#"{{"seen": {seen}, "lost": {lost}, "doubled": {doubled}, "held": {held}, "refused": {refused}}}"#)
    };
    let [there, back] = bridge.carry(&until_input_ends())?.map(shown);
    println!(r#"{{"there": {there}, "back": {back}}}"#);
    Ok(())
}

/// Becomes true when standard input ends.
fn until_input_ends() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    std::thread::spawn(move || {
        // However it ends, it has ended.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    ended
}
