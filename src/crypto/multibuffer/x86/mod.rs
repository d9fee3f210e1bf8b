//! What x86-64 processors have. A value of these types exists only where the processor has the instructions: that is what the unsafe blocks
//! in this folder lean on.

pub(super) mod aes;
pub(super) mod avx2;
pub(super) mod avx2_wide;
pub(super) mod avx512;
pub(super) mod avx512_wide;
pub(super) mod gcm;
mod lanes;
mod rounds;
pub(super) mod sha_ni;

use std::arch::is_x86_feature_detected;

/// AVX-512 with VAES and VPCLMULQDQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx512(());

/// AVX2 with AES-NI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2(());

/// The SHA extensions, and AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShaNi(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("vpclmulqdq")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("aes");
        all.then_some(Self(()))
    }

    /// What has AVX-512 has AVX2.
    pub(super) fn avx2(self) -> Avx2 {
        Avx2(())
    }
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("aes")).then_some(Self(()))
    }
}

impl ShaNi {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("sha")).then_some(Self(()))
    }
}
