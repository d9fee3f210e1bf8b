//! What `make bench-e2e` runs in its network namespaces.
//!
//!     plane end NUMBER SUITE MTU       one end (1 or 2) of a tunnel between two of vpnd's own data planes
//!     plane send ADDRESS RATE SECONDS  UDP packets of 64 octets, RATE a second (0: as many as possible)
//!     plane receive ADDRESS            counts them until standard input ends
//!
//! `end` reads the keys as one line of hexadecimal digits (the same line at both ends), makes the TUN device `t0`, says READY and carries packets
//! until standard input ends; then it prints what it counted. `send` and `receive` print one line of JSON.

#[path = "end.rs"]
mod end;
#[path = "packets.rs"]
mod packets;

use std::io::{BufRead, Read};
use std::process::ExitCode;
use std::time::Duration;

use end::End;
use vpnd::crypto::secret::Secret;
use vpnd::daemon::data_thread::DataNews;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["end", number, suite, mtu] => end(number, suite, mtu),
        ["send", to, rate, seconds] => send(to, rate, seconds),
        ["receive", at] => receive(at),
        _ => Err("usage: plane end NUMBER SUITE MTU | send ADDRESS RATE SECONDS | receive ADDRESS".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plane: {error}");
            ExitCode::FAILURE
        }
    }
}

fn end(number: &str, suite: &str, mtu: &str) -> Outcome {
    let suite = end::suite_named(suite)?;
    let keys = read_keys()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut end = End::start(number.parse()?, suite, &keys, mtu.parse()?).await?;
        println!("READY");
        let until_told = until_input_ends();
        tokio::pin!(until_told);
        loop {
            tokio::select! {
                _ = &mut until_told => break,
                news = end.events.news.recv() => match news {
                    Some(DataNews::Failed(failure)) => return Err(failure.to_string().into()),
                    Some(DataNews::Report(_) | DataNews::Dropped(_)) => {}
                    None => return Err("the data plane ended".into()),
                },
            }
        }
        println!("{}", end.counts().await?);
        end.plane.stop();
        Ok(())
    })
}

fn read_keys() -> Result<Secret, Box<dyn std::error::Error>> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let digits = line.trim().as_bytes().chunks(2);
    let octets = digits.map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
    let octets: Option<Vec<u8>> = octets.collect();
    Ok(Secret::new(octets.ok_or("the keys are not hexadecimal")?))
}

async fn until_input_ends() {
    let (told, is_told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = told.send(());
    });
    let _ = is_told.await;
}

fn send(to: &str, rate: &str, seconds: &str) -> Outcome {
    let sent = packets::send(to.parse()?, rate.parse()?, Duration::try_from_secs_f64(seconds.parse()?)?)?;
    println!("{{\"sent\": {}, \"seconds\": {:.3}}}", sent.packets, sent.time.as_secs_f64());
    Ok(())
}

fn receive(at: &str) -> Outcome {
    let receiver = packets::Receiver::start(at.parse()?)?;
    println!("READY");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{{\"received\": {}}}", receiver.end()?);
    Ok(())
}
