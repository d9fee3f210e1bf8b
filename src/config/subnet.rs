//! Subnets, addresses and names of hosts as people write them.

use std::fmt;
use std::net::IpAddr;

use crate::sa::selector::Selector;
use crate::tunnel::settings::Host;

/// A subnet. The bits behind its prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    selector: Selector,
    prefix_len: u8,
}

impl Subnet {
    /// Its first address.
    pub const fn address(&self) -> IpAddr {
        self.selector.start()
    }

    /// How many leading bits count.
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Every packet of it.
    pub const fn selector(&self) -> Selector {
        self.selector
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.prefix_len)
    }
}

/// What is wrong with a text, and what to write instead.
pub(super) type Refusal = (String, Option<String>);

pub(super) fn parse(text: &str) -> Result<Subnet, Refusal> {
    let (address_text, prefix_text) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address_text.parse().map_err(|_| no_address(address_text, "subnet"))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix_len = match prefix_text {
        None => most,
        Some(digits) => match digits.parse::<u8>() {
            Ok(prefix_len) if prefix_len <= most && digits.bytes().all(|digit| digit.is_ascii_digit()) => prefix_len,
            _ => return Err((format!("`/{digits}` is no prefix length"), Some(format!("it is 0 to {most}")))),
        },
    };
    let selector = Selector::from_prefix(address, prefix_len)
        .ok_or_else(|| ("the prefix is longer than the address".to_owned(), None))?;
    let subnet = Subnet { selector, prefix_len };
    if selector.start() != address {
        let help = format!("write `{subnet}` for the whole subnet, or `{address}/{most}` for one host");
        return Err(("the address has bits behind the prefix".into(), Some(help)));
    }
    Ok(subnet)
}

/// A gateway's address or name.
pub(super) fn parse_host(text: &str) -> Result<Host, Refusal> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let unusable = address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]);
        return match unusable {
            true => Err(("no gateway can have this address".into(), None)),
            false => Ok(Host::Address(address)),
        };
    }
    let with_port = text.rsplit_once(':').filter(|(host, port)| {
        let is_host = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || is_name(host);
        is_host && port.parse::<u16>().is_ok()
    });
    if let Some((_, port)) = with_port {
        return Err(("the port does not belong here".into(), Some(format!("write `port = {port}` on its own line"))));
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err((format!("`{scheme}://` does not belong here"), Some("write the name or address alone".into())));
    }
    if text.contains('/') {
        return Err(("this is a subnet, not an address".into(), Some("subnets go into `subnets`".into())));
    }
    // A name whose last label is a number is a mistyped address (RFC 3696 §2).
    let numeric = text.rsplit('.').next().is_some_and(|label| label.bytes().all(|digit| digit.is_ascii_digit()));
    if !is_name(text) || numeric {
        return Err(no_address(text, "address or name"));
    }
    Ok(Host::Name(text.to_owned()))
}

fn is_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn no_address(text: &str, expected: &str) -> Refusal {
    let help = if text.is_empty() {
        None
    } else if text.contains('%') {
        Some("addresses with a scope are not built".into())
    } else if text.split('.').count() == 4 && text.split('.').any(|part| part.len() > 1 && part.starts_with('0')) {
        Some("write the numbers without leading zeros".into())
    } else {
        None
    };
    (format!("`{text}` is no {expected}"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_are_read_and_printed() {
        for (text, printed) in [
            ("10.250.0.0/24", "10.250.0.0/24"),
            ("10.250.0.5", "10.250.0.5/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_subnet_is_refused_with_a_way_out() {
        for (text, message, help) in [
            ("10.250.0.5/24", "bits behind", Some("`10.250.0.0/24`")),
            ("10.250.0.0/33", "no prefix length", Some("0 to 32")),
            ("10.250.0.0/+8", "no prefix length", Some("0 to 32")),
            ("10.250.0/24", "no subnet", None),
            ("010.250.0.0/24", "no subnet", Some("leading zeros")),
            ("fe80::1%eth0", "no subnet", Some("scope")),
            ("", "no subnet", None),
        ] {
            let (said, way_out) = parse(text).unwrap_err();
            assert!(said.contains(message), "{text}: {said}");
            match help {
                Some(help) => assert!(way_out.clone().unwrap().contains(help), "{text}: {way_out:?}"),
                None => assert_eq!(way_out, None, "{text}"),
            }
        }
    }

    #[test]
    fn a_gateway_is_an_address_or_a_name() {
        assert_eq!(parse_host("198.51.100.1"), Ok(Host::Address([198, 51, 100, 1].into())));
        assert_eq!(parse_host("vpn.example.org"), Ok(Host::Name("vpn.example.org".into())));
        assert_eq!(parse_host("gateway"), Ok(Host::Name("gateway".into())));
        assert!(parse_host("2001:db8::1").is_ok());
        let long = "a".repeat(64);
        for text in [
            "",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "ff02::1",
            "198.51.100.1:4500",
            "[2001:db8::1]:500",
            "vpn.example.org:500",
            "https://vpn.example.org",
            "10.0.0.0/8",
            "198.51.100",
            "1.2.3.400",
            "-a.b",
            "a..b",
            "two words",
            long.as_str(),
        ] {
            assert!(parse_host(text).is_err(), "{text}");
        }
    }
}
