//! The numbers of IANA's "IKEv2 Parameters" by name. A number without a name here is as good a value as one with.

use std::fmt;

macro_rules! registry {
    ($(#[$outer:meta])* $name:ident($number:ty) { $($(#[$inner:meta])* $constant:ident = $value:literal $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $number);

        impl $name {
            $($(#[$inner])* #[doc = concat!($text, ", ", stringify!($value), ".")] pub const $constant: Self = Self($value);)*

            /// The RFC's name, where the number has one here.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{}({}, {name})", stringify!($name), self.0),
                    None => write!(f, "{}({})", stringify!($name), self.0),
                }
            }
        }
    };
}

registry! {
    /// The kind of a payload (RFC 7296 §3.2).
    PayloadType(u8) {
        NONE = 0 "No Next Payload",
        SECURITY_ASSOCIATION = 33 "SA",
        KEY_EXCHANGE = 34 "KE",
        IDENTIFICATION_INITIATOR = 35 "IDi",
        IDENTIFICATION_RESPONDER = 36 "IDr",
        CERTIFICATE = 37 "CERT",
        CERTIFICATE_REQUEST = 38 "CERTREQ",
        AUTHENTICATION = 39 "AUTH",
        NONCE = 40 "Nonce",
        NOTIFY = 41 "N",
        DELETE = 42 "D",
        VENDOR_ID = 43 "V",
        TRAFFIC_SELECTOR_INITIATOR = 44 "TSi",
        TRAFFIC_SELECTOR_RESPONDER = 45 "TSr",
        ENCRYPTED = 46 "SK",
        CONFIGURATION = 47 "CP",
        EAP = 48 "EAP",
        ENCRYPTED_FRAGMENT = 53 "SKF",
    }
}

registry! {
    /// The exchange that a message belongs to (RFC 7296 §3.1).
    ExchangeType(u8) {
        IKE_SA_INIT = 34 "IKE_SA_INIT",
        IKE_AUTH = 35 "IKE_AUTH",
        CREATE_CHILD_SA = 36 "CREATE_CHILD_SA",
        INFORMATIONAL = 37 "INFORMATIONAL",
        IKE_SESSION_RESUME = 38 "IKE_SESSION_RESUME",
        IKE_INTERMEDIATE = 43 "IKE_INTERMEDIATE",
        IKE_FOLLOWUP_KE = 44 "IKE_FOLLOWUP_KE",
    }
}

registry! {
    /// What a Notify payload says (RFC 7296 §3.10.1).
    NotifyType(u16) {
        UNSUPPORTED_CRITICAL_PAYLOAD = 1 "UNSUPPORTED_CRITICAL_PAYLOAD",
        INVALID_IKE_SPI = 4 "INVALID_IKE_SPI",
        INVALID_MAJOR_VERSION = 5 "INVALID_MAJOR_VERSION",
        INVALID_SYNTAX = 7 "INVALID_SYNTAX",
        INVALID_MESSAGE_ID = 9 "INVALID_MESSAGE_ID",
        INVALID_SPI = 11 "INVALID_SPI",
        NO_PROPOSAL_CHOSEN = 14 "NO_PROPOSAL_CHOSEN",
        INVALID_KE_PAYLOAD = 17 "INVALID_KE_PAYLOAD",
        AUTHENTICATION_FAILED = 24 "AUTHENTICATION_FAILED",
        SINGLE_PAIR_REQUIRED = 34 "SINGLE_PAIR_REQUIRED",
        NO_ADDITIONAL_SAS = 35 "NO_ADDITIONAL_SAS",
        INTERNAL_ADDRESS_FAILURE = 36 "INTERNAL_ADDRESS_FAILURE",
        FAILED_CP_REQUIRED = 37 "FAILED_CP_REQUIRED",
        TS_UNACCEPTABLE = 38 "TS_UNACCEPTABLE",
        INVALID_SELECTORS = 39 "INVALID_SELECTORS",
        UNACCEPTABLE_ADDRESSES = 40 "UNACCEPTABLE_ADDRESSES",
        UNEXPECTED_NAT_DETECTED = 41 "UNEXPECTED_NAT_DETECTED",
        TEMPORARY_FAILURE = 43 "TEMPORARY_FAILURE",
        CHILD_SA_NOT_FOUND = 44 "CHILD_SA_NOT_FOUND",
        INVALID_GROUP_ID = 45 "INVALID_GROUP_ID",
        AUTHORIZATION_FAILED = 46 "AUTHORIZATION_FAILED",
        STATE_NOT_FOUND = 47 "STATE_NOT_FOUND",
        TS_MAX_QUEUE = 48 "TS_MAX_QUEUE",
        INITIAL_CONTACT = 16384 "INITIAL_CONTACT",
        SET_WINDOW_SIZE = 16385 "SET_WINDOW_SIZE",
        ADDITIONAL_TS_POSSIBLE = 16386 "ADDITIONAL_TS_POSSIBLE",
        IPCOMP_SUPPORTED = 16387 "IPCOMP_SUPPORTED",
        NAT_DETECTION_SOURCE_IP = 16388 "NAT_DETECTION_SOURCE_IP",
        NAT_DETECTION_DESTINATION_IP = 16389 "NAT_DETECTION_DESTINATION_IP",
        COOKIE = 16390 "COOKIE",
        USE_TRANSPORT_MODE = 16391 "USE_TRANSPORT_MODE",
        HTTP_CERT_LOOKUP_SUPPORTED = 16392 "HTTP_CERT_LOOKUP_SUPPORTED",
        REKEY_SA = 16393 "REKEY_SA",
        ESP_TFC_PADDING_NOT_SUPPORTED = 16394 "ESP_TFC_PADDING_NOT_SUPPORTED",
        NON_FIRST_FRAGMENTS_ALSO = 16395 "NON_FIRST_FRAGMENTS_ALSO",
        MOBIKE_SUPPORTED = 16396 "MOBIKE_SUPPORTED",
        ADDITIONAL_IP4_ADDRESS = 16397 "ADDITIONAL_IP4_ADDRESS",
        ADDITIONAL_IP6_ADDRESS = 16398 "ADDITIONAL_IP6_ADDRESS",
        NO_ADDITIONAL_ADDRESSES = 16399 "NO_ADDITIONAL_ADDRESSES",
        UPDATE_SA_ADDRESSES = 16400 "UPDATE_SA_ADDRESSES",
        COOKIE2 = 16401 "COOKIE2",
        NO_NATS_ALLOWED = 16402 "NO_NATS_ALLOWED",
        AUTH_LIFETIME = 16403 "AUTH_LIFETIME",
        MULTIPLE_AUTH_SUPPORTED = 16404 "MULTIPLE_AUTH_SUPPORTED",
        ANOTHER_AUTH_FOLLOWS = 16405 "ANOTHER_AUTH_FOLLOWS",
        REDIRECT_SUPPORTED = 16406 "REDIRECT_SUPPORTED",
        REDIRECT = 16407 "REDIRECT",
        REDIRECTED_FROM = 16408 "REDIRECTED_FROM",
        CHILDLESS_IKEV2_SUPPORTED = 16418 "CHILDLESS_IKEV2_SUPPORTED",
        QUICK_CRASH_DETECTION = 16419 "QUICK_CRASH_DETECTION",
        IKEV2_MESSAGE_ID_SYNC_SUPPORTED = 16420 "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
        IKEV2_FRAGMENTATION_SUPPORTED = 16430 "IKEV2_FRAGMENTATION_SUPPORTED",
        SIGNATURE_HASH_ALGORITHMS = 16431 "SIGNATURE_HASH_ALGORITHMS",
        PUZZLE = 16434 "PUZZLE",
        USE_PPK = 16435 "USE_PPK",
        INTERMEDIATE_EXCHANGE_SUPPORTED = 16438 "INTERMEDIATE_EXCHANGE_SUPPORTED",
        IP4_ALLOWED = 16439 "IP4_ALLOWED",
        IP6_ALLOWED = 16440 "IP6_ALLOWED",
        ADDITIONAL_KEY_EXCHANGE = 16441 "ADDITIONAL_KEY_EXCHANGE",
        USE_AGGFRAG = 16442 "USE_AGGFRAG",
    }
}

impl NotifyType {
    /// Whether it reports an error; status types start at 16384 (RFC 7296 §3.10.1).
    pub const fn is_error(self) -> bool {
        self.0 < 16384
    }
}

registry! {
    /// Which protocol a proposal, notify or delete concerns (RFC 7296 §3.3.1).
    ProtocolId(u8) {
        NONE = 0 "none",
        IKE = 1 "IKE",
        AH = 2 "AH",
        ESP = 3 "ESP",
    }
}

registry! {
    /// What a transform is for (RFC 7296 §3.3.2).
    TransformType(u8) {
        ENCRYPTION = 1 "ENCR",
        PSEUDO_RANDOM_FUNCTION = 2 "PRF",
        INTEGRITY = 3 "INTEG",
        KEY_EXCHANGE = 4 "KE",
        SEQUENCE_NUMBERS = 5 "ESN",
    }
}

/// Transform IDs (RFC 7296 §3.3.2 and IANA). Their meaning depends on the transform type.
pub mod transform {
    /// ENCR.
    pub mod encryption {
        /// ENCR_3DES.
        pub const TRIPLE_DES: u16 = 3;
        /// ENCR_AES_CBC (RFC 3602).
        pub const AES_CBC: u16 = 12;
        /// AES-GCM with an ICV of 8 octets (RFC 4106, RFC 5282).
        pub const AES_GCM_8: u16 = 18;
        /// AES-GCM with an ICV of 12 octets.
        pub const AES_GCM_12: u16 = 19;
        /// AES-GCM with an ICV of 16 octets.
        pub const AES_GCM_16: u16 = 20;
        /// ENCR_CHACHA20_POLY1305 (RFC 7634).
        pub const CHACHA20_POLY1305: u16 = 28;
    }

    /// PRF.
    pub mod prf {
        /// PRF_HMAC_SHA1 (RFC 2104).
        pub const HMAC_SHA1: u16 = 2;
        /// PRF_HMAC_SHA2_256 (RFC 4868).
        pub const HMAC_SHA2_256: u16 = 5;
        /// PRF_HMAC_SHA2_384.
        pub const HMAC_SHA2_384: u16 = 6;
        /// PRF_HMAC_SHA2_512.
        pub const HMAC_SHA2_512: u16 = 7;
    }

    /// INTEG.
    pub mod integrity {
        /// NONE: the same as no integrity transform (RFC 7296 §3.3.3).
        pub const NONE: u16 = 0;
        /// AUTH_HMAC_SHA1_96 (RFC 2404).
        pub const HMAC_SHA1_96: u16 = 2;
        /// AUTH_HMAC_SHA2_256_128 (RFC 4868).
        pub const HMAC_SHA2_256_128: u16 = 12;
        /// AUTH_HMAC_SHA2_384_192.
        pub const HMAC_SHA2_384_192: u16 = 13;
        /// AUTH_HMAC_SHA2_512_256.
        pub const HMAC_SHA2_512_256: u16 = 14;
    }

    /// KE, also the group number of a KE payload.
    pub mod group {
        /// NONE.
        pub const NONE: u16 = 0;
        /// 1024-bit MODP (RFC 2409).
        pub const MODP_1024: u16 = 2;
        /// 1536-bit MODP (RFC 3526).
        pub const MODP_1536: u16 = 5;
        /// 2048-bit MODP.
        pub const MODP_2048: u16 = 14;
        /// 3072-bit MODP.
        pub const MODP_3072: u16 = 15;
        /// 4096-bit MODP.
        pub const MODP_4096: u16 = 16;
        /// 256-bit random ECP (RFC 5903).
        pub const ECP_256: u16 = 19;
        /// 384-bit random ECP.
        pub const ECP_384: u16 = 20;
        /// 521-bit random ECP.
        pub const ECP_521: u16 = 21;
        /// Curve25519 (RFC 8031).
        pub const CURVE25519: u16 = 31;
    }

    /// ESN.
    pub mod sequence_numbers {
        /// 32 bits.
        pub const WITHOUT_ESN: u16 = 0;
        /// 64 bits.
        pub const WITH_ESN: u16 = 1;
    }
}

/// The one transform attribute there is (RFC 7296 §3.3.5), in its two-octet form.
pub const KEY_LENGTH_ATTRIBUTE: u16 = 14;

registry! {
    /// The type of an identity (RFC 7296 §3.5).
    IdType(u8) {
        IPV4_ADDR = 1 "ID_IPV4_ADDR",
        FQDN = 2 "ID_FQDN",
        RFC822_ADDR = 3 "ID_RFC822_ADDR",
        IPV6_ADDR = 5 "ID_IPV6_ADDR",
        DER_ASN1_DN = 9 "ID_DER_ASN1_DN",
        DER_ASN1_GN = 10 "ID_DER_ASN1_GN",
        KEY_ID = 11 "ID_KEY_ID",
        NULL = 13 "ID_NULL",
    }
}

registry! {
    /// How a side authenticates (RFC 7296 §3.8).
    AuthMethod(u8) {
        RSA_SIGNATURE = 1 "RSA signature",
        SHARED_KEY = 2 "shared key",
        DSS_SIGNATURE = 3 "DSS signature",
        ECDSA_SHA256_P256 = 9 "ECDSA with SHA-256 on P-256",
        ECDSA_SHA384_P384 = 10 "ECDSA with SHA-384 on P-384",
        ECDSA_SHA512_P521 = 11 "ECDSA with SHA-512 on P-521",
        GENERIC_SECURE_PASSWORD = 12 "generic secure password",
        NULL = 13 "no authentication",
        DIGITAL_SIGNATURE = 14 "digital signature",
    }
}

registry! {
    /// Asking, answering, setting or acknowledging configuration (RFC 7296 §3.15).
    CpType(u8) {
        CFG_REQUEST = 1 "CFG_REQUEST",
        CFG_REPLY = 2 "CFG_REPLY",
        CFG_SET = 3 "CFG_SET",
        CFG_ACK = 4 "CFG_ACK",
    }
}

registry! {
    /// What a configuration attribute holds (RFC 7296 §3.15.1).
    ConfigAttributeType(u16) {
        INTERNAL_IP4_ADDRESS = 1 "INTERNAL_IP4_ADDRESS",
        INTERNAL_IP4_NETMASK = 2 "INTERNAL_IP4_NETMASK",
        INTERNAL_IP4_DNS = 3 "INTERNAL_IP4_DNS",
        INTERNAL_IP4_NBNS = 4 "INTERNAL_IP4_NBNS",
        INTERNAL_IP4_DHCP = 6 "INTERNAL_IP4_DHCP",
        APPLICATION_VERSION = 7 "APPLICATION_VERSION",
        INTERNAL_IP6_ADDRESS = 8 "INTERNAL_IP6_ADDRESS",
        INTERNAL_IP6_DNS = 10 "INTERNAL_IP6_DNS",
        INTERNAL_IP6_DHCP = 12 "INTERNAL_IP6_DHCP",
        INTERNAL_IP4_SUBNET = 13 "INTERNAL_IP4_SUBNET",
        SUPPORTED_ATTRIBUTES = 14 "SUPPORTED_ATTRIBUTES",
        INTERNAL_IP6_SUBNET = 15 "INTERNAL_IP6_SUBNET",
        INTERNAL_DNS_DOMAIN = 25 "INTERNAL_DNS_DOMAIN",
    }
}

registry! {
    /// The form of a traffic selector (RFC 7296 §3.13.1).
    SelectorType(u8) {
        IPV4_ADDR_RANGE = 7 "TS_IPV4_ADDR_RANGE",
        IPV6_ADDR_RANGE = 8 "TS_IPV6_ADDR_RANGE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notify_below_16384_is_an_error_whether_it_has_a_name_or_not() {
        for (number, error) in [(0, true), (14, true), (8191, true), (16383, true), (16384, false), (65535, false)] {
            assert_eq!(NotifyType(number).is_error(), error, "{number}");
        }
    }

    #[test]
    fn a_number_without_a_name_is_printed_as_a_number() {
        assert_eq!(NotifyType::NO_PROPOSAL_CHOSEN.to_string(), "NO_PROPOSAL_CHOSEN");
        assert_eq!(NotifyType(12345).to_string(), "12345");
        assert_eq!(format!("{:?}", PayloadType(1)), "PayloadType(1)");
        assert_eq!(format!("{:?}", PayloadType::NONCE), "PayloadType(40, Nonce)");
    }

    #[test]
    fn v_21_no_payload_number_of_ikev1_has_a_meaning_here() {
        assert!((1..=32).chain(128..=255).all(|number| PayloadType(number).name().is_none()));
    }
}
