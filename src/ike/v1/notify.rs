//! Notify message types by their RFC names (RFC 2408 §3.14.1, RFC 2407 §4.6.3). A number without a name is as good a value as one with.

use std::fmt;

/// The type of a notify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotifyKind(pub(super) u16);

impl NotifyKind {
    pub(super) const INVALID_COOKIE: Self = Self(4);
    pub(super) const NO_PROPOSAL_CHOSEN: Self = Self(14);
    pub(super) const PAYLOAD_MALFORMED: Self = Self(16);
    pub(super) const INVALID_KEY_INFORMATION: Self = Self(17);
    pub(super) const INVALID_ID_INFORMATION: Self = Self(18);
    pub(super) const INVALID_HASH_INFORMATION: Self = Self(23);
    pub(super) const AUTHENTICATION_FAILED: Self = Self(24);
    pub(super) const RESPONDER_LIFETIME: Self = Self(24576);
    pub(super) const INITIAL_CONTACT: Self = Self(24578);

    /// RFC 2408 §3.14.1: the others tell a state.
    pub(super) const fn is_error(self) -> bool {
        self.0 > 0 && self.0 < 16384
    }

    const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "INVALID-PAYLOAD-TYPE",
            2 => "DOI-NOT-SUPPORTED",
            3 => "SITUATION-NOT-SUPPORTED",
            4 => "INVALID-COOKIE",
            5 => "INVALID-MAJOR-VERSION",
            6 => "INVALID-MINOR-VERSION",
            7 => "INVALID-EXCHANGE-TYPE",
            8 => "INVALID-FLAGS",
            9 => "INVALID-MESSAGE-ID",
            10 => "INVALID-PROTOCOL-ID",
            11 => "INVALID-SPI",
            12 => "INVALID-TRANSFORM-ID",
            13 => "ATTRIBUTES-NOT-SUPPORTED",
            14 => "NO-PROPOSAL-CHOSEN",
            15 => "BAD-PROPOSAL-SYNTAX",
            16 => "PAYLOAD-MALFORMED",
            17 => "INVALID-KEY-INFORMATION",
            18 => "INVALID-ID-INFORMATION",
            19 => "INVALID-CERT-ENCODING",
            20 => "INVALID-CERTIFICATE",
            21 => "CERT-TYPE-UNSUPPORTED",
            22 => "INVALID-CERT-AUTHORITY",
            23 => "INVALID-HASH-INFORMATION",
            24 => "AUTHENTICATION-FAILED",
            25 => "INVALID-SIGNATURE",
            26 => "ADDRESS-NOTIFICATION",
            27 => "NOTIFY-SA-LIFETIME",
            28 => "CERTIFICATE-UNAVAILABLE",
            29 => "UNSUPPORTED-EXCHANGE-TYPE",
            30 => "UNEQUAL-PAYLOAD-LENGTHS",
            16384 => "CONNECTED",
            24576 => "RESPONDER-LIFETIME",
            24577 => "REPLAY-STATUS",
            24578 => "INITIAL-CONTACT",
            _ => return None,
        })
    }
}

impl fmt::Display for NotifyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
