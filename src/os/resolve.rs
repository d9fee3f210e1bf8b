//! From a gateway's name to its addresses, by the system's resolver.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

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
    let lookup = tokio::net::lookup_host((name, 0));
    let found = tokio::time::timeout(limit, lookup)
        .await
        .map_err(|_| ResolveError::TimedOut { name: name.to_owned(), waited: limit })?
        .map_err(|error| ResolveError::Failed { name: name.to_owned(), error })?;
    let addresses = without_repetition(found);
    if addresses.is_empty() { Err(ResolveError::Empty { name: name.to_owned() }) } else { Ok(addresses) }
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
