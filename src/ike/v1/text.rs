//! Text that a peer sent, for people: bounded, and without what a terminal or a file would take for more than text.

/// Octets of a text that are kept.
const LONGEST: usize = 512;

/// Readable, bounded and without control characters; still nothing to be trusted.
pub(super) fn untrusted(octets: &[u8]) -> String {
    let octets = octets.get(..LONGEST).unwrap_or(octets);
    let text = String::from_utf8_lossy(octets);
    let mut plain = String::with_capacity(text.len());
    for letter in text.trim_matches(|letter: char| letter == '\0' || letter.is_whitespace()).chars() {
        if letter.is_control() {
            plain.extend(letter.escape_debug());
        } else {
            plain.push(letter);
        }
    }
    plain
}

/// A domain name, if it is one: letters, digits, hyphens, underscores and dots (RFC 1035 §2.3.1).
pub(super) fn domain(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?.trim_matches(['\0', ' ', '.']);
    let is_domain = !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
    is_domain.then(|| text.to_owned())
}
