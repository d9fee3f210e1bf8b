//! How much faster batches are than the one-packet path, as ratios of times of one run: `make ratios` checks what is promised, and fails below it.
//! With the program of `benches/ipsec_mb` in the environment variable VPND_BESIDE it prints every suite, size and backend beside Intel's
//! library instead: `make ipsec-mb`.

use std::env;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use vpnd::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Opener, Protection, ProtectionKeys, Sealer, Text};
use vpnd::crypto::multibuffer::Backend;
use vpnd::crypto::secret::Secret;

const PACKETS: usize = 64;

const SUITES: [(&str, Protection); 4] = [
    (CBC, Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 }),
    ("aes128gcm16", Protection::Aead(Aead::AesGcm(AesKey::Aes128, GcmIcv::Sixteen))),
    (GCM, Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen))),
    ("chacha20poly1305", Protection::Aead(Aead::ChaCha20Poly1305)),
];
const CBC: &str = "aes256-sha256";
const GCM: &str = "aes256gcm16";

/// What must be reached at 1400 octets, beside the one-packet path of the portable backend.
const EXPECTED: [(&str, Verb, &str, f64); 4] = [
    (CBC, Verb::Seal, "avx512", 3.5),
    (CBC, Verb::Open, "avx512", 1.8),
    (CBC, Verb::Seal, "sha-ni", 2.0),
    (GCM, Verb::Seal, "avx512", 1.5),
];

/// A ratio is taken from the shortest of so many rounds in turn.
const ROUNDS: usize = 60;
/// Other programs make times longer, never shorter: a ratio that is not there yet gets more rounds, at most so often.
const ATTEMPTS: usize = 40;
/// Whatever holds the machine up may be over then.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
enum Verb {
    Seal,
    Open,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Open => "open",
        }
    }
}

struct Packets {
    protection: Protection,
    texts: Vec<Vec<u8>>,
    icvs: Vec<[u8; 16]>,
}

impl Packets {
    /// As long as ESP makes an inner packet of `octets`.
    fn new(protection: Protection, octets: usize) -> Self {
        let len = (octets + 2).next_multiple_of(protection.block_len().max(4));
        Self { protection, texts: (0..PACKETS).map(|n| vec![n as u8; len]).collect(), icvs: vec![[0; 16]; PACKETS] }
    }

    fn jobs(&mut self) -> Vec<Text<'_>> {
        let iv = &[2; 16][..self.protection.iv_len()];
        let parts = self.texts.iter_mut().zip(&mut self.icvs);
        parts.map(|(text, icv)| Text { associated: &[1; 8], iv, text, suffix: &[], icv }).collect()
    }
}

/// One backend's keys, and what it does with them.
struct Engine {
    backend: Backend,
    sealer: Sealer,
    opener: Opener,
}

impl Engine {
    fn new(protection: Protection, backend: Backend) -> Self {
        let keys = ProtectionKeys {
            encryption: Secret::new(vec![3; protection.encryption_key_len()]),
            integrity: Secret::new(vec![9; protection.integrity_key_len()]),
        };
        Self {
            backend,
            sealer: Sealer::with_backend(protection, &keys, backend).unwrap(),
            opener: Opener::with_backend(protection, &keys, backend).unwrap(),
        }
    }

    /// Once before, untimed: what another one's round left in the caches is not to be measured.
    fn batch(&self, verb: Verb, packets: &mut Packets, verdicts: &mut Verdicts) -> Duration {
        self.sealer.seal_batch(&mut packets.jobs()).unwrap();
        let mut jobs = packets.jobs();
        match verb {
            Verb::Seal => timed(|| self.sealer.seal_batch(black_box(&mut jobs)).unwrap()),
            Verb::Open => {
                let time = timed(|| self.opener.open_batch(black_box(&mut jobs), verdicts));
                assert!(verdicts.iter().all(Result::is_ok));
                time
            }
        }
    }

    fn singly(&self, verb: Verb, packets: &mut Packets) -> Duration {
        self.sealer.seal_batch(&mut packets.jobs()).unwrap();
        let jobs = packets.jobs();
        match verb {
            Verb::Seal => timed(|| jobs.into_iter().for_each(|job| self.sealer.seal(black_box(job)).unwrap())),
            Verb::Open => {
                timed(|| jobs.into_iter().for_each(|job| _ = black_box(self.opener.open(black_box(job)).unwrap())))
            }
        }
    }
}

type Verdicts = Vec<Result<vpnd::crypto::cipher::Authentic, vpnd::crypto::cipher::Forged>>;

fn timed(work: impl FnOnce()) -> Duration {
    #[allow(clippy::disallowed_methods, reason = "this is what the clock is for")]
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// Whether what is promised is reached.
fn check() -> bool {
    println!(
        "batches of {PACKETS} packets of 1400 octets beside single ones, shortest of at least {ROUNDS} rounds in turn"
    );
    let mut all = true;
    for (suite, verb, name, goal) in EXPECTED {
        let what = format!("ratio {suite} {} {name}", verb.name());
        let Some(backend) = Backend::available().find(|backend| backend.name() == name) else {
            println!("{what}: skipped, this processor lacks the instructions");
            continue;
        };
        let protection = SUITES.iter().find(|(its, _)| *its == suite).unwrap().1;
        let (lanes, portable) = (Engine::new(protection, backend), Engine::new(protection, Backend::PORTABLE));
        let (mut packets, mut verdicts) = (Packets::new(protection, 1400), vec![]);
        let (mut batch, mut single) = (Duration::MAX, Duration::MAX);
        let mut ratio = 0.0;
        for attempt in 1..=ATTEMPTS {
            for _ in 0..ROUNDS {
                batch = batch.min(lanes.batch(verb, &mut packets, &mut verdicts));
                single = single.min(portable.singly(verb, &mut packets));
            }
            ratio = single.as_secs_f64() / batch.as_secs_f64();
            if ratio >= goal {
                break;
            }
            println!("{what}: {ratio:.2} after {} rounds", attempt * ROUNDS);
            thread::sleep(PAUSE);
        }
        let verdict = if ratio >= goal { "passed" } else { "FAILED" };
        println!("{what}: {ratio:.2}, expected at least {goal}: {verdict}");
        all &= ratio >= goal;
    }
    all
}

/// Another program that does the same work: it is told "aes256gcm16 seal 1400" and answers with the nanoseconds of a batch.
struct Beside {
    program: Child,
    answers: BufReader<ChildStdout>,
}

impl Beside {
    fn new(program: impl AsRef<std::ffi::OsStr>) -> Self {
        let mut program = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(program.stdout.take().unwrap());
        Self { program, answers }
    }

    fn batch(&mut self, suite: &str, verb: Verb, octets: usize) -> Duration {
        writeln!(self.program.stdin.as_mut().unwrap(), "{suite} {} {octets}", verb.name()).unwrap();
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
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e9 / PACKETS as f64
}

/// Every suite, size and verb: rounds in turn by each backend, singly, and by the program beside.
fn table(mut beside: Beside) {
    println!(
        "nanoseconds a packet in batches of {PACKETS}, medians of {ROUNDS} rounds in turn; in brackets beside ipsec-mb"
    );
    for (suite, protection) in SUITES {
        let engines: Vec<_> = Backend::available().map(|backend| Engine::new(protection, backend)).collect();
        for octets in [64, 576, 1400] {
            for verb in [Verb::Seal, Verb::Open] {
                let (mut packets, mut verdicts) = (Packets::new(protection, octets), vec![]);
                let (mut batches, mut single, mut others) = (vec![vec![]; engines.len()], vec![], vec![]);
                for _ in 0..ROUNDS {
                    for (times, engine) in batches.iter_mut().zip(&engines) {
                        times.push(engine.batch(verb, &mut packets, &mut verdicts));
                    }
                    single.extend(engines.last().map(|engine| engine.singly(verb, &mut packets)));
                    others.push(beside.batch(suite, verb, octets));
                }
                let others = median(others);
                print!("{suite:<16} {} {octets:>4}  ipsec-mb {others:>4.0}", verb.name());
                for (engine, times) in engines.iter().zip(batches) {
                    let time = median(times);
                    print!("  {} {time:>4.0} ({:.2})", engine.backend.name(), time / others);
                }
                let single = median(single);
                println!("  singly {single:>4.0} ({:.2})", single / others);
            }
        }
    }
}

fn main() -> ExitCode {
    match env::var_os("VPND_BESIDE") {
        Some(program) => {
            table(Beside::new(program));
            ExitCode::SUCCESS
        }
        None if check() => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}
