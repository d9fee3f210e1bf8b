//! Where the pre-shared key and the XAUTH password come from, and how their octets are read. They are fetched by whoever may touch
//! the machine.

use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::secret::Secret;

/// A place outside the configuration file that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file; a relative path starts at the configuration file's directory.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A file of this name in systemd's `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl SecretSource {
    /// The configuration key that names it as the place of the XAUTH password, for messages.
    pub const fn password_key(&self) -> &'static str {
        match self {
            Self::File(_) => "[ike] xauth_password_file",
            Self::Environment(_) => "[ike] xauth_password_env",
            Self::Credential(_) => "[ike] xauth_password_credential",
        }
    }
}

/// Where the pre-shared key comes from.
#[derive(Clone, Debug)]
pub enum PskSource {
    /// Another place than the configuration file.
    Elsewhere(SecretSource),
    /// The configuration file itself.
    Inline(Arc<Secret>),
}

impl PskSource {
    /// The place outside the configuration file, if it is in one.
    pub(super) const fn place(&self) -> Option<&SecretSource> {
        match self {
            Self::Elsewhere(source) => Some(source),
            Self::Inline(_) => None,
        }
    }

    /// The configuration key, for messages.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Elsewhere(SecretSource::File(_)) => "[gateway] psk_file",
            Self::Elsewhere(SecretSource::Environment(_)) => "[gateway] psk_env",
            Self::Elsewhere(SecretSource::Credential(_)) => "[gateway] psk_credential",
            Self::Inline(_) => "[gateway] psk",
        }
    }
}

/// How the source's octets stand for the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PskFormat {
    /// As they are, without one line end at the end.
    #[default]
    Text,
    /// Two hexadecimal digits an octet.
    Hex,
    /// RFC 4648 §4, with padding.
    Base64,
}

/// The pre-shared key, and what to say about it.
#[derive(Debug)]
pub struct Psk {
    /// Its octets.
    pub secret: Secret,
    /// What the person should know.
    pub warnings: Vec<PskWarning>,
}

/// Why a pre-shared key is doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PskWarning {
    /// Fewer than 20 octets, or a few different ones only.
    Weak,
    /// A space, tab or line end stands at its start or end.
    Blank,
    /// It is text, and looks like hex or base64 with strongSwan's prefix 0x or 0s.
    Prefixed,
}

/// Why there is no pre-shared key in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PskError {
    /// Nothing is left of it.
    Empty,
    /// Not hexadecimal.
    Hex,
    /// Not base64.
    Base64,
    /// More than 4096 octets: this is another file.
    TooLong,
}

/// Octets of the longest source that is looked at.
pub const MAX_SOURCE: usize = 16 * 1024;
const LONGEST: usize = 4096;
const SHORT: usize = 20;
const FEW: usize = 5;

impl Psk {
    /// Reads the octets of a source. One line end, `\n` or `\r\n`, is taken off the end of text; white space anywhere does not
    /// matter in hex and base64.
    pub fn decode(octets: Vec<u8>, format: PskFormat) -> Result<Self, PskError> {
        let octets = Zeroizing::new(octets);
        let key = match format {
            PskFormat::Text => Zeroizing::new(without_line_end(&octets).to_vec()),
            PskFormat::Hex => Zeroizing::new(hex(&octets).ok_or(PskError::Hex)?),
            PskFormat::Base64 => Zeroizing::new(base64(&octets).ok_or(PskError::Base64)?),
        };
        if key.is_empty() {
            return Err(PskError::Empty);
        }
        if key.len() > LONGEST {
            return Err(PskError::TooLong);
        }
        let mut warnings = Vec::new();
        if is_weak(&key) {
            warnings.push(PskWarning::Weak);
        }
        let blank = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_whitespace);
        if format == PskFormat::Text && (blank(key.first()) || blank(key.last())) {
            warnings.push(PskWarning::Blank);
        }
        if format == PskFormat::Text && (key.starts_with(b"0x") || key.starts_with(b"0s")) {
            warnings.push(PskWarning::Prefixed);
        }
        Ok(Self { secret: Secret::copy_of(&key), warnings })
    }
}

/// Why there is no XAUTH password in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordError {
    /// Nothing is left of it.
    Empty,
    /// More than 4096 octets: this is another file.
    TooLong,
}

/// Reads the octets of a password's source: as they are, without one line end at the end.
///
/// # Errors
/// [`PasswordError`] when they cannot be a password.
pub fn decode_password(octets: Vec<u8>) -> Result<Secret, PasswordError> {
    let octets = Zeroizing::new(octets);
    match without_line_end(&octets) {
        [] => Err(PasswordError::Empty),
        password if password.len() > LONGEST => Err(PasswordError::TooLong),
        password => Ok(Secret::copy_of(password)),
    }
}

impl std::fmt::Display for PasswordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "the password is empty",
            Self::TooLong => "the password is longer than 4096 octets: is this the right file?",
        })
    }
}

impl std::fmt::Display for PskWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Weak => {
                "the pre-shared key can be guessed: whoever records or fakes a handshake can try keys at leisure; \
                 use at least 20 random characters, for example from `openssl rand -base64 24`"
            }
            Self::Blank => "the pre-shared key begins or ends with white space, which is part of it",
            Self::Prefixed => {
                "the pre-shared key begins with 0x or 0s, which is part of it; \
                 write `psk_format = \"hex\"` or \"base64\" and leave the prefix out if it is encoded"
            }
        })
    }
}

impl std::fmt::Display for PskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "the pre-shared key is empty",
            Self::Hex => "the pre-shared key is not hexadecimal, as `psk_format` says",
            Self::Base64 => "the pre-shared key is not base64, as `psk_format` says",
            Self::TooLong => "the pre-shared key is longer than 4096 octets: is this the right file?",
        })
    }
}

fn without_line_end(octets: &[u8]) -> &[u8] {
    octets.strip_suffix(b"\r\n").or_else(|| octets.strip_suffix(b"\n")).unwrap_or(octets)
}

fn is_weak(key: &[u8]) -> bool {
    let different = (0..=u8::MAX).filter(|octet| key.contains(octet)).count();
    key.len() < SHORT || different < FEW
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.iter().filter(|octet| !octet.is_ascii_whitespace());
    let mut octets = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for digit in digits {
        let value = u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        match high.take() {
            None => high = Some(value << 4),
            Some(high) => octets.push(high | value),
        }
    }
    high.is_none().then_some(octets)
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let letters =
        Zeroizing::new(text.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect::<Vec<u8>>());
    let mut octets = Vec::with_capacity(text.len());
    let mut ended = false;
    for quad in letters.chunks(4) {
        let &[first, second, third, fourth] = quad else { return None };
        let padding = match (third, fourth) {
            (b'=', b'=') => 2,
            (_, b'=') => 1,
            _ => 0,
        };
        if ended {
            return None;
        }
        ended = padding > 0;
        let sextet = |letter: u8, padded: bool| if padded { Some(0) } else { sextet(letter) };
        let bits = sextet(first, false)? << 18
            | sextet(second, false)? << 12
            | sextet(third, padding == 2)? << 6
            | sextet(fourth, padding >= 1)?;
        let [_, one, two, three] = bits.to_be_bytes();
        let unused = match padding {
            2 => two | three,
            1 => three,
            _ => 0,
        };
        if unused != 0 {
            return None;
        }
        octets.extend([one, two, three].iter().take(3_usize.saturating_sub(padding)));
    }
    Some(octets)
}

fn sextet(letter: u8) -> Option<u32> {
    let (first, value) = match letter {
        b'A'..=b'Z' => (b'A', 0),
        b'a'..=b'z' => (b'a', 26),
        b'0'..=b'9' => (b'0', 52),
        b'+' => return Some(62),
        b'/' => return Some(63),
        _ => return None,
    };
    Some(u32::from(letter.saturating_sub(first)).saturating_add(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &[u8], format: PskFormat) -> Result<Vec<u8>, PskError> {
        Psk::decode(text.to_vec(), format).map(|psk| psk.secret.expose().to_vec())
    }

    #[test]
    fn c_14_exactly_one_line_end_is_taken_off() {
        for (text, expected) in [
            (&b"secret"[..], &b"secret"[..]),
            (b"secret\n", b"secret"),
            (b"secret\r\n", b"secret"),
            (b"secret\n\n", b"secret\n"),
            (b" secret ", b" secret "),
            (b"\nsecret", b"\nsecret"),
            (b"secret\r", b"secret\r"),
            (b"\x00\xff\n", b"\x00\xff"),
        ] {
            assert_eq!(key(text, PskFormat::Text).unwrap(), expected);
        }
    }

    #[test]
    fn nothing_is_no_key() {
        for (text, format) in [
            (&b""[..], PskFormat::Text),
            (b"\n", PskFormat::Text),
            (b"\r\n", PskFormat::Text),
            (b" \n", PskFormat::Hex),
            (b"", PskFormat::Base64),
        ] {
            assert_eq!(key(text, format), Err(PskError::Empty), "{text:?}");
        }
    }

    #[test]
    fn hex_is_read_only_when_it_is_said() {
        assert_eq!(key(b"0aFF 10\n", PskFormat::Hex).unwrap(), [0x0a, 0xff, 0x10]);
        assert_eq!(key(b"0aFF10", PskFormat::Text).unwrap(), b"0aFF10");
        for text in [&b"0"[..], b"0x0a", b"zz", b"0a f"] {
            assert_eq!(key(text, PskFormat::Hex), Err(PskError::Hex), "{text:?}");
        }
    }

    #[test]
    fn base64_is_read_by_rfc_4648() {
        for (text, expected) in [
            (&b"Zg=="[..], &b"f"[..]),
            (b"Zm8=", b"fo"),
            (b"Zm9v", b"foo"),
            (b"Zm9vYg==", b"foob"),
            (b"Zm9vYmE=\n", b"fooba"),
            (b"Zm9v\nYmFy", b"foobar"),
            (b"+/+/", &[0xfb, 0xff, 0xbf]),
        ] {
            assert_eq!(key(text, PskFormat::Base64).unwrap(), expected);
        }
        for text in
            [&b"Zg"[..], b"Zg=", b"Zh==", b"Zm9=", b"Zg==Zg==", b"Z===", b"====", b"Zm9v!", b"=m9v", b"Z=9v", b"Zm-_"]
        {
            assert_eq!(key(text, PskFormat::Base64), Err(PskError::Base64), "{text:?}");
        }
    }

    #[test]
    fn c_15_a_guessable_key_is_warned_about() {
        for (text, weak) in [
            (&b"short"[..], true),
            (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaa", true),
            (b"nineteen-octets-key", true),
            (b"twenty-octets-key-ok", false),
        ] {
            let psk = Psk::decode(text.to_vec(), PskFormat::Text).unwrap();
            assert_eq!(psk.warnings.contains(&PskWarning::Weak), weak, "{text:?}");
        }
        let warnings = |text: &[u8]| Psk::decode(text.to_vec(), PskFormat::Text).unwrap().warnings;
        assert_eq!(warnings(b"0x00112233445566778899aabbccddeeff"), [PskWarning::Prefixed]);
        assert_eq!(warnings(b"a good long key with a space "), [PskWarning::Blank]);
    }

    #[test]
    fn a_whole_file_of_something_else_is_refused() {
        assert_eq!(key(&[b'a'; 4097], PskFormat::Text), Err(PskError::TooLong));
        assert!(key(&[b'a'; 4096], PskFormat::Text).is_ok());
    }

    #[test]
    fn a_password_loses_exactly_one_line_end() {
        let password = |text: &[u8]| decode_password(text.to_vec()).map(|password| password.expose().to_vec());
        assert_eq!(password(b"open sesame \n\n"), Ok(b"open sesame \n".to_vec()));
        assert_eq!(password(b"\r\n"), Err(PasswordError::Empty));
        assert_eq!(password(&[b'a'; 4097]), Err(PasswordError::TooLong));
    }

    #[test]
    fn c_14_a_key_is_not_printed() {
        let psk = Psk::decode(b"a good long key that nobody knows".to_vec(), PskFormat::Text).unwrap();
        assert!(!format!("{psk:?}").contains("nobody"));
        assert!(!format!("{:?}", PskSource::Inline(Arc::new(psk.secret))).contains("nobody"));
    }
}
