//! From a gateway's name to its addresses: by the system's resolver, and where that reaches nobody, by a question of our own.
//!
//! A name server may lie in a subnet that the kill switch holds closed, and the system's resolver cannot mark its packets as vpnd's. So the same question goes to the
//! same name servers from a marked socket: the gateway's name and no other, when the system's answer is late or bad (L-09).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use crate::crypto::random::Random;
use crate::os::MARK;
use crate::os::dns::{self, Kind, Question};
use crate::os::random::OsRandom;

/// How long the system's resolver has before name servers are asked beside it.
const HEAD_START: Duration = Duration::from_secs(1);
/// How long one name server has for one answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often they are asked.
const ROUNDS: usize = 2;
const NAME_SERVER: u16 = 53;

/// Why a name has no address.
#[derive(Debug)]
pub enum ResolveError {
    /// The resolver did not answer in time.
    TimedOut {
        /// The name.
        name: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The resolver said no.
    Failed {
        /// The name.
        name: String,
        /// Its words.
        error: io::Error,
    },
    /// The name exists and has no address.
    Empty {
        /// The name.
        name: String,
    },
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { name, waited } => write!(
                f,
                "the name {name:?} in `[gateway] address` was not resolved within {} s. Check /etc/resolv.conf, or use an IP address",
                waited.as_secs()
            ),
            Self::Failed { name, error } => write!(
                f,
                "the name {name:?} in `[gateway] address` cannot be resolved ({error}). Check its spelling and /etc/resolv.conf, or use an IP address"
            ),
            Self::Empty { name } => write!(f, "the name {name:?} in `[gateway] address` has no IPv4 or IPv6 address"),
        }
    }
}

impl std::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { error, .. } => Some(error),
            Self::TimedOut { .. } | Self::Empty { .. } => None,
        }
    }
}

/// The addresses of `name`, an IP address or a host name, in the resolver's order and without repetition.
///
/// The system's resolver runs on a thread of its own, which a time-out cannot end: a runtime that is to stop at once
/// must be shut down without waiting for it.
///
/// # Errors
/// [`ResolveError`]; each may be different the next time.
pub async fn resolve(name: &str, limit: Duration) -> Result<Vec<IpAddr>, ResolveError> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let system = by_the_system(name, limit);
    let own = async {
        sleep(HEAD_START).await;
        by_ourselves(name, &name_servers([dns::CONFIGURATION, dns::UPSTREAM].map(Path::new))).await
    };
    tokio::pin!(system, own);
    tokio::select! {
        found = &mut system => match found {
            Ok(addresses) => Ok(addresses),
            Err(error) => match timeout(limit, own).await {
                Ok(addresses) if !addresses.is_empty() => Ok(addresses),
                _ => Err(error),
            },
        },
        addresses = &mut own => if addresses.is_empty() { system.await } else { Ok(addresses) },
    }
}

async fn by_the_system(name: &str, limit: Duration) -> Result<Vec<IpAddr>, ResolveError> {
    let found = timeout(limit, tokio::net::lookup_host((name, 0)))
        .await
        .map_err(|_| ResolveError::TimedOut { name: name.to_owned(), waited: limit })?
        .map_err(|error| ResolveError::Failed { name: name.to_owned(), error })?;
    let addresses = without_repetition(found);
    if addresses.is_empty() { Err(ResolveError::Empty { name: name.to_owned() }) } else { Ok(addresses) }
}

/// The name servers of the first of the files that names one.
fn name_servers(files: [&Path; 2]) -> Vec<SocketAddr> {
    let named = files.iter().map(|file| dns::servers(&std::fs::read_to_string(file).unwrap_or_default()));
    let servers = named.into_iter().find(|servers| !servers.is_empty()).unwrap_or_default();
    servers.into_iter().map(|server| SocketAddr::new(server, NAME_SERVER)).collect()
}

/// Asks one name server after the other from a socket that passes by the kill switch. Nothing when none of them knows.
pub async fn by_ourselves(name: &str, servers: &[SocketAddr]) -> Vec<IpAddr> {
    for _ in 0..ROUNDS {
        for server in servers {
            match ask(name, *server).await {
                Ok(addresses) => return addresses,
                Err(error) => tracing::debug!(%server, %error, "a name server did not answer"),
            }
        }
    }
    Vec::new()
}

/// Both families' addresses; an answer for one of them is enough.
async fn ask(name: &str, server: SocketAddr) -> io::Result<Vec<IpAddr>> {
    let questions: Vec<Question> = [Kind::Ipv4, Kind::Ipv6]
        .into_iter()
        .filter_map(|kind| {
            let mut random = [0; 34];
            OsRandom.fill(&mut random);
            Question::new(name, kind, random)
        })
        .collect();
    let socket = marked(server)?;
    for question in &questions {
        socket.send(question.octets()).await?;
    }
    let mut answers: Vec<Option<Vec<IpAddr>>> = questions.iter().map(|_| None).collect();
    let mut memory = [0; dns::LONGEST];
    let all = async {
        while answers.iter().any(Option::is_none) {
            let length = socket.recv(&mut memory).await?;
            let datagram = memory.get(..length).unwrap_or_default();
            for (question, answer) in questions.iter().zip(&mut answers) {
                if answer.is_none() {
                    *answer = question.answer(datagram);
                }
            }
        }
        Ok::<(), io::Error>(())
    };
    let in_time = timeout(PATIENCE, all).await;
    let known: Vec<IpAddr> = answers.iter().flatten().flatten().copied().collect();
    match in_time {
        _ if !known.is_empty() => Ok(known),
        Ok(told) => told.map(|()| known),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Connected: the kernel drops what comes from elsewhere. Its port is the kernel's random choice.
fn marked(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_mark(MARK)?;
    socket.connect(&server.into())?;
    UdpSocket::from_std(socket.into())
}

fn without_repetition(found: impl Iterator<Item = SocketAddr>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for address in found.map(|address| address.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_now(name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(resolve(name, Duration::from_secs(30)));
        runtime.shutdown_background();
        result
    }

    #[test]
    fn an_address_is_itself_and_asks_nobody() {
        assert_eq!(resolve_now("198.51.100.1").unwrap(), ["198.51.100.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolve_now("2001:db8::1").unwrap(), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_name_that_cannot_be_is_said_to_be_so_with_the_key_it_stands_in() {
        let error = resolve_now("no such name.invalid").unwrap_err();
        assert!(matches!(error, ResolveError::Failed { .. }), "{error}");
        assert!(error.to_string().contains("`[gateway] address`"));
    }

    #[test]
    fn repeated_addresses_count_once_and_keep_their_order() {
        let all = ["[::1]:0", "127.0.0.1:0", "[::1]:0"].map(|text| text.parse::<SocketAddr>().unwrap());
        assert_eq!(without_repetition(all.into_iter()), [all[0].ip(), all[1].ip()]);
    }
}
