//! Who a side says it is (RFC 7296 §3.5, RFC 2407 §4.6.2.1). Compared by type and octets, without wildcards.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// An identity. Untrusted when it comes from the peer: `Display` escapes and caps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// ID_IPV4_ADDR.
    Ipv4(Ipv4Addr),
    /// ID_IPV6_ADDR.
    Ipv6(Ipv6Addr),
    /// ID_FQDN.
    Fqdn(String),
    /// ID_RFC822_ADDR (ID_USER_FQDN in IKEv1).
    Email(String),
    /// ID_KEY_ID: opaque octets.
    KeyId(Vec<u8>),
    /// A type that is only compared, never sent: its number and octets.
    Other(u8, Vec<u8>),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |f: &mut fmt::Formatter<'_>, prefix: &str, octets: &[u8]| {
            f.write_str(prefix)?;
            octets.iter().take(128).try_for_each(|octet| write!(f, "{}", octet.escape_ascii()))?;
            if octets.len() > 128 { f.write_str("...") } else { Ok(()) }
        };
        match self {
            Self::Ipv4(address) => write!(f, "{address}"),
            Self::Ipv6(address) => write!(f, "{address}"),
            Self::Fqdn(name) => text(f, "", name.as_bytes()),
            Self::Email(name) => text(f, "", name.as_bytes()),
            Self::KeyId(octets) => text(f, "keyid:", octets),
            Self::Other(kind, octets) => {
                write!(f, "type {kind}:")?;
                text(f, "", octets)
            }
        }
    }
}
