//! CBC encryption and HMAC over many packets at once, and GCM over many blocks of one. Inside one packet CBC and HMAC are chains, and the machine's
//! units wait; across packets there is no chain. It knows instruction sets, lanes and keys; it knows no suite's ICV length, and it decides
//! nothing: sealing and opening do.
//!
//! What runs is chosen once by the processor's features. Every choice computes the same as the plain path, which is also what does the packets
//! that are too few to share lanes.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, unreachable_code, unused_variables, reason = "no backend has lanes")
)]

mod cbc;
mod gcm;
mod hmac;
mod message;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;

pub(in crate::crypto) use cbc::{Chain, Decryption, EncryptionLanes};
pub(in crate::crypto) use gcm::WideGcm;
pub(in crate::crypto) use hmac::{HmacLanes, Tag};
pub(in crate::crypto) use message::Message;

/// The packets that are looked at together: more of them find better company, fewer stay in the cache.
pub(in crate::crypto) const WINDOW: usize = 64;
/// The packets that share one call; the widest registers have so many lanes.
pub(in crate::crypto) const GROUP: usize = 16;

/// How many packets are worked on at once. A value exists only where the processor can do it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Backend(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512, Option<x86::ShaNi>),
    #[cfg(target_arch = "x86_64")]
    ShaNi(x86::Avx2, x86::ShaNi),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    Portable,
}

impl Backend {
    /// One packet after the other, by the libraries that do single texts.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The best this processor has.
    pub fn fastest() -> Self {
        Self::available().next().unwrap_or(Self::PORTABLE)
    }

    /// All that this processor has, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let special = {
            let (avx2, sha_ni) = (x86::Avx2::detect(), x86::ShaNi::detect());
            [
                x86::Avx512::detect().map(|avx512| Kind::Avx512(avx512, sha_ni)),
                avx2.zip(sha_ni).map(|(avx2, sha_ni)| Kind::ShaNi(avx2, sha_ni)),
                avx2.map(Kind::Avx2),
            ]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let special: [Option<Kind>; 0] = [];
        special.into_iter().flatten().chain([Kind::Portable]).map(Self)
    }

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(..) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi(..) => "sha-ni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            Kind::Portable => "portable",
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
