//! What x86-64 processors have. A value of these types exists only where the processor has the instructions: that is what the unsafe blocks
//! in this folder lean on.

mod aes;
mod avx512;
mod lanes;
mod rounds;

use std::arch::is_x86_feature_detected;

/// AVX-512 with VAES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("aes");
        all.then_some(Self(()))
    }
}
