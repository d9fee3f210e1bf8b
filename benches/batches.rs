//! How much faster batches of AES-256-CBC with SHA-256 are than the one-packet path, backend by backend: `make ratios`. Each figure is a ratio of
//! medians of rounds that were run in turn, so the machine's clock and its other work cancel out. Fails below what is expected.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vpnd::crypto::cipher::{AesKey, Cbc, Integrity, Opener, Protection, ProtectionKeys, Sealer, Text};
use vpnd::crypto::multibuffer::Backend;
use vpnd::crypto::secret::Secret;

const PACKETS: usize = 64;
const ROUNDS: usize = 61;
const PROTECTION: Protection =
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };

fn keys() -> ProtectionKeys {
    ProtectionKeys { encryption: Secret::new(vec![3; 32]), integrity: Secret::new(vec![9; 32]) }
}

struct Packets {
    texts: Vec<Vec<u8>>,
    icvs: Vec<[u8; 16]>,
}

impl Packets {
    /// As long as ESP makes an inner packet of `octets`.
    fn new(octets: usize) -> Self {
        let len = (octets + 2).next_multiple_of(16);
        Self { texts: (0..PACKETS).map(|n| vec![n as u8; len]).collect(), icvs: vec![[0; 16]; PACKETS] }
    }

    fn jobs(&mut self) -> Vec<Text<'_>> {
        let parts = self.texts.iter_mut().zip(&mut self.icvs);
        parts.map(|(text, icv)| Text { associated: &[1; 8], iv: &[2; 16], text, suffix: &[], icv }).collect()
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    #[allow(clippy::disallowed_methods, reason = "this is what the clock is for")]
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e9 / PACKETS as f64
}

/// Nanoseconds a packet, of each backend as `Backend::available` has them, and last of the one-packet path.
fn seal(octets: usize) -> Vec<f64> {
    let sealers: Vec<_> = Backend::available().map(|b| Sealer::with_backend(PROTECTION, &keys(), b).unwrap()).collect();
    let mut packets = Packets::new(octets);
    let mut times = vec![vec![]; sealers.len() + 1];
    for _ in 0..ROUNDS {
        for (times, sealer) in times.iter_mut().zip(&sealers) {
            let mut jobs = packets.jobs();
            times.push(timed(|| sealer.seal_batch(black_box(&mut jobs)).unwrap()));
        }
        let single = sealers.last().unwrap();
        let jobs = packets.jobs();
        times.last_mut().unwrap().push(timed(|| jobs.into_iter().for_each(|job| single.seal(black_box(job)).unwrap())));
    }
    times.into_iter().map(median).collect()
}

fn open(octets: usize) -> Vec<f64> {
    let backends: Vec<_> = Backend::available().collect();
    let openers: Vec<_> = backends.iter().map(|b| Opener::with_backend(PROTECTION, &keys(), *b).unwrap()).collect();
    let sealer = Sealer::new(PROTECTION, &keys()).unwrap();
    let mut packets = Packets::new(octets);
    let mut verdicts = Vec::with_capacity(PACKETS);
    let mut times = vec![vec![]; openers.len() + 1];
    for _ in 0..ROUNDS {
        for (times, opener) in times.iter_mut().zip(&openers) {
            sealer.seal_batch(&mut packets.jobs()).unwrap();
            let mut jobs = packets.jobs();
            times.push(timed(|| opener.open_batch(black_box(&mut jobs), &mut verdicts)));
            assert!(verdicts.iter().all(Result::is_ok));
        }
        let single = openers.last().unwrap();
        sealer.seal_batch(&mut packets.jobs()).unwrap();
        let jobs = packets.jobs();
        let opened = || jobs.into_iter().for_each(|job| _ = black_box(single.open(black_box(job)).unwrap()));
        times.last_mut().unwrap().push(timed(opened));
    }
    times.into_iter().map(median).collect()
}

/// What must be reached at 1400 octets, beside the one-packet path.
const EXPECTED: [(&str, &str, f64); 3] = [("avx512", "seal", 3.5), ("avx512", "open", 1.8), ("sha-ni", "seal", 2.0)];

fn main() -> ExitCode {
    let names: Vec<_> = Backend::available().map(Backend::name).collect();
    let mut reached = vec![];
    println!("AES-256-CBC with HMAC-SHA2-256, batches of {PACKETS}, medians of {ROUNDS} rounds in turn");
    for octets in [64, 576, 1400] {
        for (verb, times) in [("seal", seal(octets)), ("open", open(octets))] {
            let (single, batches) = times.split_last().unwrap();
            println!("{verb} {octets:>4} one packet {single:>8.0} ns a packet");
            for (name, time) in names.iter().zip(batches) {
                println!("{verb} {octets:>4} {name:<10} {time:>8.0} ns a packet, {:.2} times as fast", single / time);
                if octets == 1400 {
                    reached.push((*name, verb, single / time));
                }
            }
        }
    }
    let mut failed = false;
    for (name, verb, goal) in EXPECTED {
        match reached.iter().find(|(its, what, _)| (*its, *what) == (name, verb)) {
            None => println!("ratio {name} {verb}: skipped, this processor lacks the instructions"),
            Some((_, _, ratio)) => {
                failed |= *ratio < goal;
                let verdict = if *ratio < goal { "FAILED" } else { "passed" };
                println!("ratio {name} {verb}: {ratio:.2}, expected at least {goal}: {verdict}");
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
