//! Identities as people write them, with variables: `vpn.example.org`, `me@example.org`, `keyid:branch-7`, `${HOSTNAME}.pods`.

use std::net::IpAddr;
use std::ops::Range;

use crate::ike::identity::Identity;

/// Octets of the longest identity: an IKE payload could hold more, gateways do not.
const LONGEST: usize = 255;

/// An identity that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParsedIdentity {
    pub(super) identity: Identity,
    /// Whether it holds a variable, and so differs between replicas.
    pub(super) variable: bool,
}

/// What is wrong, and in which octets of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdentityError {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

pub(super) fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<ParsedIdentity, IdentityError> {
    let (expanded, has_variable) = expand(text, variable)?;
    let whole = |message: String, help: Option<&str>| IdentityError {
        span: 0..text.len(),
        message,
        help: help.map(str::to_owned),
    };
    if expanded.is_empty() {
        return Err(whole("the identity is empty".into(), Some("leave the key out to use the address")));
    }
    if expanded.len() > LONGEST {
        return Err(whole(format!("the identity is longer than {LONGEST} octets"), None));
    }
    if expanded.chars().any(char::is_control) {
        return Err(whole("the identity holds control characters".into(), None));
    }
    let identity = infer(&expanded).map_err(|(message, help)| whole(message, help))?;
    Ok(ParsedIdentity { identity, variable: has_variable })
}

type Refusal = (String, Option<&'static str>);

fn infer(text: &str) -> Result<Identity, Refusal> {
    if let Some((kind, value)) = text.split_once(':') {
        match kind {
            "keyid" => return key_id(value),
            "fqdn" | "dns" => return fqdn(value),
            "email" => return email(value),
            "ipv4" | "ipv6" => return address(value),
            _ => {}
        }
    }
    if text.contains('=') {
        let help = "vpnd authenticates by a pre-shared key; use a name, an address, user@name or keyid:...";
        return Err(("distinguished names are not built".into(), Some(help)));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address_identity(address));
    }
    match text.split_once('@') {
        // strongSwan's way to say that a name is to be sent as it is.
        Some(("", name)) if !name.contains('@') => fqdn(name),
        Some(_) => email(text),
        None => fqdn(text),
    }
}

fn key_id(value: &str) -> Result<Identity, Refusal> {
    if value.is_empty() {
        return Err(("the key ID is empty".into(), None));
    }
    Ok(Identity::KeyId(value.as_bytes().to_vec()))
}

fn fqdn(value: &str) -> Result<Identity, Refusal> {
    if value.is_empty() {
        return Err(("the name is empty".into(), None));
    }
    if value.contains(|letter: char| letter.is_whitespace() || letter == '@') || !value.is_ascii() {
        let help = "write `keyid:` before it to send the octets as they are";
        return Err(("this is no address, no name and no e-mail address".into(), Some(help)));
    }
    Ok(Identity::Fqdn(value.to_owned()))
}

fn email(value: &str) -> Result<Identity, Refusal> {
    match value.split_once('@') {
        Some((user, name)) if !user.is_empty() && !name.is_empty() && !value.contains(char::is_whitespace) => {
            Ok(Identity::Email(value.to_owned()))
        }
        _ => Err(("an e-mail identity looks like user@name".into(), None)),
    }
}

fn address(value: &str) -> Result<Identity, Refusal> {
    value.parse().map(address_identity).map_err(|_| ("this is no address".into(), None))
}

const fn address_identity(address: IpAddr) -> Identity {
    match address {
        IpAddr::V4(address) => Identity::Ipv4(address),
        IpAddr::V6(address) => Identity::Ipv6(address),
    }
}

/// Puts variables in. Says whether there was one.
fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<(String, bool), IdentityError> {
    let mut expanded = String::new();
    let mut found = false;
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        expanded.push_str(before);
        let start = text.len().saturating_sub(behind.len()).saturating_sub(2);
        let Some((name, after)) = behind.split_once('}') else {
            return Err(IdentityError {
                span: start..text.len(),
                message: "a `${` without `}`".into(),
                help: Some("a variable looks like ${HOSTNAME}".into()),
            });
        };
        let span = start..text.len().saturating_sub(after.len());
        if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            let message = "a variable's name is letters, digits and `_`".into();
            return Err(IdentityError { span, message, help: None });
        }
        match variable(name) {
            Some(value) if !value.is_empty() => expanded.push_str(&value),
            _ => {
                let message = format!("the environment variable `{name}` is not set");
                return Err(IdentityError { span, message, help: Some("set it, or write the identity out".into()) });
            }
        }
        found = true;
        rest = after;
    }
    expanded.push_str(rest);
    Ok((expanded, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOSTNAME" => Some("web-0".into()),
            "POD_IP" => Some("10.1.2.3".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn read(text: &str) -> Result<Identity, String> {
        parse(text, &environment).map(|parsed| parsed.identity).map_err(|error| error.message)
    }

    #[test]
    fn the_type_follows_from_the_text() {
        for (text, identity) in [
            ("192.0.2.1", Identity::Ipv4([192, 0, 2, 1].into())),
            ("2001:db8::1", Identity::Ipv6("2001:db8::1".parse().unwrap())),
            ("ipv6:2001:db8::1", Identity::Ipv6("2001:db8::1".parse().unwrap())),
            ("vpn.example.org", Identity::Fqdn("vpn.example.org".into())),
            ("@vpn.example.org", Identity::Fqdn("vpn.example.org".into())),
            ("fqdn:192.0.2.1", Identity::Fqdn("192.0.2.1".into())),
            ("me@example.org", Identity::Email("me@example.org".into())),
            ("email:me@example.org", Identity::Email("me@example.org".into())),
            ("keyid:branch 7", Identity::KeyId(b"branch 7".to_vec())),
            ("${HOSTNAME}.pods", Identity::Fqdn("web-0.pods".into())),
            ("${POD_IP}", Identity::Ipv4([10, 1, 2, 3].into())),
            ("keyid:${HOSTNAME}-${POD_IP}", Identity::KeyId(b"web-0-10.1.2.3".to_vec())),
            ("a$b", Identity::Fqdn("a$b".into())),
        ] {
            assert_eq!(read(text), Ok(identity), "{text}");
        }
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for text in [
            "",
            "two words",
            "keyid:",
            "fqdn:",
            "email:nobody",
            "a@",
            "@",
            "C=DE, CN=me",
            "${UNSET}",
            "${EMPTY}",
            "${",
            "${HOST NAME}",
            "${}",
            "a\u{7}b",
            "b\u{fc}cher",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(read(&"a".repeat(256)).is_err());
        assert!(read(&"a".repeat(255)).is_ok());
    }

    #[test]
    fn an_error_points_at_the_variable() {
        let error = parse("a.${UNSET}.b", &environment).unwrap_err();
        assert_eq!(error.span, 2..10);
    }

    #[test]
    fn variables_are_noticed() {
        assert!(parse("${HOSTNAME}", &environment).unwrap().variable);
        assert!(!parse("web", &environment).unwrap().variable);
    }
}
