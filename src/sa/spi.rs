//! Security parameter indexes. Ours and theirs are different types, so they cannot be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The SPI of a child SA that we receive on; we chose it. Never 0 to 255 (RFC 4303 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct InboundSpi(u32);

/// The SPI of a child SA that we send with; the peer chose it. Never 0 to 255 (RFC 4303 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct OutboundSpi(u32);

/// No SA can have this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved;

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reserved SPI")
    }
}

macro_rules! esp_spi {
    ($name:ident) => {
        impl $name {
            /// `None` for the reserved values 0 to 255.
            pub const fn new(value: u32) -> Option<Self> {
                if value < 256 { None } else { Some(Self(value)) }
            }

            /// The number as it stands in the ESP header, in host order.
            pub const fn value(self) -> u32 {
                self.0
            }

            /// The four octets of the ESP header.
            pub const fn to_octets(self) -> [u8; 4] {
                self.0.to_be_bytes()
            }
        }

        impl TryFrom<u32> for $name {
            type Error = Reserved;

            fn try_from(value: u32) -> Result<Self, Reserved> {
                Self::new(value).ok_or(Reserved)
            }
        }

        impl From<$name> for u32 {
            fn from(spi: $name) -> Self {
                spi.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:08x}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:08x}", self.0)
            }
        }
    };
}

esp_spi!(InboundSpi);
esp_spi!(OutboundSpi);

/// One side's eight octets of an IKE SA's name (RFC 7296 §3.1). Never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "[u8; 8]", into = "[u8; 8]")]
pub struct IkeSpi([u8; 8]);

impl IkeSpi {
    /// `None` for eight zero octets.
    pub const fn new(octets: [u8; 8]) -> Option<Self> {
        if u64::from_be_bytes(octets) == 0 { None } else { Some(Self(octets)) }
    }

    /// The octets as they stand in the IKE header.
    pub const fn to_octets(self) -> [u8; 8] {
        self.0
    }
}

impl TryFrom<[u8; 8]> for IkeSpi {
    type Error = Reserved;

    fn try_from(octets: [u8; 8]) -> Result<Self, Reserved> {
        Self::new(octets).ok_or(Reserved)
    }
}

impl From<IkeSpi> for [u8; 8] {
    fn from(spi: IkeSpi) -> Self {
        spi.0
    }
}

impl fmt::Debug for IkeSpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Display for IkeSpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}
