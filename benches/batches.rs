//! How much faster batches of AES-256-CBC with SHA-256 are than the one-packet path, backend by backend: `make ratios`. Each figure is a ratio of
//! medians of rounds that were run in turn, so the machine's clock and its other work cancel out. Fails below what is expected.
//! With the program of `benches/ipsec_mb` in the environment variable VPND_BESIDE, its rounds come in turn too.

use std::env;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
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

/// Another program that does the same work: it is told "seal 1400" and answers with the nanoseconds of a batch.
struct Beside {
    program: Child,
    answers: BufReader<ChildStdout>,
}

impl Beside {
    fn from_environment() -> Option<Self> {
        let program = env::var_os("VPND_BESIDE")?;
        let mut program = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(program.stdout.take().unwrap());
        Some(Self { program, answers })
    }

    fn round(&mut self, verb: &str, octets: usize) -> Duration {
        writeln!(self.program.stdin.as_mut().unwrap(), "{verb} {octets}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        Duration::from_nanos(answer.trim().parse().unwrap())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Waiting closes its input, and that ends it.
        self.program.wait().unwrap();
    }
}

/// Nanoseconds a packet.
struct Times {
    single: f64,
    /// As `Backend::available` has them.
    batches: Vec<f64>,
    beside: Option<f64>,
}

/// Rounds in turn: a batch by each backend, singly, and by the program beside.
fn measure(verb: &str, octets: usize, beside: &mut Option<Beside>) -> Times {
    let pairs: Vec<_> = Backend::available()
        .map(|backend| {
            let sealer = Sealer::with_backend(PROTECTION, &keys(), backend).unwrap();
            (sealer, Opener::with_backend(PROTECTION, &keys(), backend).unwrap())
        })
        .collect();
    let (sealer, opener) = pairs.last().unwrap();
    let mut packets = Packets::new(octets);
    let mut verdicts = Vec::with_capacity(PACKETS);
    let (mut single, mut batches, mut others) = (vec![], vec![vec![]; pairs.len()], vec![]);
    for _ in 0..ROUNDS {
        for (times, (sealer, opener)) in batches.iter_mut().zip(&pairs) {
            // Once before: what another one's round left in the caches is not to be measured.
            sealer.seal_batch(&mut packets.jobs()).unwrap();
            let time = if verb == "seal" {
                let mut jobs = packets.jobs();
                timed(|| sealer.seal_batch(black_box(&mut jobs)).unwrap())
            } else {
                let mut jobs = packets.jobs();
                let time = timed(|| opener.open_batch(black_box(&mut jobs), &mut verdicts));
                assert!(verdicts.iter().all(Result::is_ok));
                time
            };
            times.push(time);
        }
        sealer.seal_batch(&mut packets.jobs()).unwrap();
        single.push(if verb == "seal" {
            let jobs = packets.jobs();
            timed(|| jobs.into_iter().for_each(|job| sealer.seal(black_box(job)).unwrap()))
        } else {
            let jobs = packets.jobs();
            timed(|| jobs.into_iter().for_each(|job| _ = black_box(opener.open(black_box(job)).unwrap())))
        });
        others.extend(beside.as_mut().map(|beside| beside.round(verb, octets)));
    }
    Times {
        single: median(single),
        batches: batches.into_iter().map(median).collect(),
        beside: (!others.is_empty()).then(|| median(others)),
    }
}

/// What must be reached at 1400 octets, beside the one-packet path.
const EXPECTED: [(&str, &str, f64); 3] = [("avx512", "seal", 3.5), ("avx512", "open", 1.8), ("sha-ni", "seal", 2.0)];

/// A machine that others use too may miss a goal once.
const ATTEMPTS: usize = 5;

fn main() -> ExitCode {
    let names: Vec<_> = Backend::available().map(Backend::name).collect();
    let mut reached = vec![];
    println!("AES-256-CBC with HMAC-SHA2-256, batches of {PACKETS}, medians of {ROUNDS} rounds in turn");
    let mut beside = Beside::from_environment();
    for octets in [64, 576, 1400] {
        for verb in ["seal", "open"] {
            let Times { single, batches, beside } = measure(verb, octets, &mut beside);
            println!("{verb} {octets:>4} one packet {single:>8.0} ns a packet");
            for (name, time) in names.iter().zip(&batches) {
                println!("{verb} {octets:>4} {name:<10} {time:>8.0} ns a packet, {:.2} times as fast", single / time);
                if octets == 1400 {
                    reached.push((*name, verb, single / time));
                }
            }
            if let (Some(beside), Some(first)) = (beside, batches.first()) {
                println!(
                    "{verb} {octets:>4} ipsec-mb   {beside:>8.0} ns a packet; {} takes {:.2} of that",
                    names[0],
                    first / beside
                );
            }
        }
    }
    let mut failed = false;
    for (name, verb, goal) in EXPECTED {
        let Some((_, _, mut ratio)) = reached.iter().copied().find(|(its, what, _)| (*its, *what) == (name, verb))
        else {
            println!("ratio {name} {verb}: skipped, this processor lacks the instructions");
            continue;
        };
        for _ in 1..ATTEMPTS {
            if ratio < goal {
                println!("ratio {name} {verb}: {ratio:.2}, expected at least {goal}: measured again");
                let Times { single, batches, .. } = measure(verb, 1400, &mut None);
                ratio = names.iter().zip(batches).find(|(its, _)| **its == name).map_or(0.0, |(_, time)| single / time);
            }
        }
        failed |= ratio < goal;
        let verdict = if ratio < goal { "FAILED" } else { "passed" };
        println!("ratio {name} {verb}: {ratio:.2}, expected at least {goal}: {verdict}");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
