//! AES-GCM: VAES encrypts sixteen counters at a time, VPCLMULQDQ multiplies four blocks by four powers of the hash key at a time. The products
//! of a stretch are only added; what is reduced is their sum.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::crypto::cipher::AesKey;
use crate::crypto::multibuffer::cbc::{Block, Schedule};
use crate::crypto::multibuffer::gcm::{Gcm, GcmKey, Powers, STRETCH};
use crate::crypto::multibuffer::x86::Avx512;
use crate::crypto::multibuffer::x86::aes::{block, broadcast, expand, rounds};

/// AES-GCM by VAES and VPCLMULQDQ.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Vpclmul(pub(in crate::crypto::multibuffer) Avx512);

/// The octets of a stretch that is not the last one.
const MOST: usize = (STRETCH - 1) * 16;

impl Gcm for Vpclmul {
    fn expand(self, size: AesKey, key: &[u8]) -> Option<GcmKey> {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe {
            let schedule = expand(size, key)?;
            let powers = match size {
                AesKey::Aes128 => powers::<10>(&schedule),
                AesKey::Aes192 => powers::<12>(&schedule),
                AesKey::Aes256 => powers::<14>(&schedule),
            };
            Some(GcmKey { schedule, powers })
        }
    }

    fn seal(self, key: &GcmKey, nonce: &[u8; 12], associated: &[u8], text: &mut [u8]) -> Block {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe {
            match key.schedule.size {
                AesKey::Aes128 => crypt::<10, true>(key, nonce, associated, text),
                AesKey::Aes192 => crypt::<12, true>(key, nonce, associated, text),
                AesKey::Aes256 => crypt::<14, true>(key, nonce, associated, text),
            }
        }
    }

    fn open(self, key: &GcmKey, nonce: &[u8; 12], associated: &[u8], text: &mut [u8]) -> Block {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe {
            match key.schedule.size {
                AesKey::Aes128 => crypt::<10, false>(key, nonce, associated, text),
                AesKey::Aes192 => crypt::<12, false>(key, nonce, associated, text),
                AesKey::Aes256 => crypt::<14, false>(key, nonce, associated, text),
            }
        }
    }
}

/// Encrypts or decrypts; the tag of the cipher text.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,aes,vaes,vpclmulqdq,pclmulqdq,bmi2")]
fn crypt<const ROUNDS: usize, const SEAL: bool>(
    key: &GcmKey,
    nonce: &[u8; 12],
    associated: &[u8],
    text: &mut [u8],
) -> Block {
    let powers = &key.powers;
    let initial = counter_block(nonce);
    let cover = encrypt_block::<ROUNDS>(&key.schedule, swapped_block(initial));
    let ahead = _mm512_set_epi32(0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1);
    let keys = broadcast(&key.schedule.keys);
    let mut counters = _mm512_add_epi32(_mm512_broadcast_i32x4(initial), ahead);
    let mut hash = hash_of(associated, powers);
    let lengths = _mm_set_epi64x(bits(associated), bits(text));
    let mut rest = text;
    loop {
        let (stretch, next) = rest.split_at_mut(rest.len().min(MOST));
        let last = next.is_empty();
        // The lengths come behind the last stretch's blocks.
        let mut power = stretch.len().div_ceil(16).saturating_add(usize::from(last));
        // What was hashed before is added to the first block.
        let mut sum = Product::nothing();
        let [first] = falling::<1>(powers, power);
        sum.add(_mm512_zextsi128_si512(hash), first);
        let (whole, part) = stretch.as_chunks_mut::<256>();
        for whole in whole {
            counters = quads::<4, ROUNDS, SEAL>(&keys, counters, whole, powers, power, &mut sum);
            power = power.saturating_sub(16);
        }
        counters = match part.len().div_ceil(64) {
            0 => counters,
            1 => quads::<1, ROUNDS, SEAL>(&keys, counters, part, powers, power, &mut sum),
            2 => quads::<2, ROUNDS, SEAL>(&keys, counters, part, powers, power, &mut sum),
            3 => quads::<3, ROUNDS, SEAL>(&keys, counters, part, powers, power, &mut sum),
            _ => quads::<4, ROUNDS, SEAL>(&keys, counters, part, powers, power, &mut sum),
        };
        if last {
            let [lowest] = falling::<1>(powers, 1);
            sum.add(_mm512_zextsi128_si512(lengths), lowest);
            let tag = _mm_xor_si128(swapped_block(sum.reduced()), cover);
            let mut octets = [0; 16];
            // SAFETY: a block is 16 octets.
            unsafe { _mm_storeu_si128(octets.as_mut_ptr().cast(), tag) };
            return octets;
        }
        hash = sum.reduced();
        rest = next;
    }
}

/// At most `N` times four blocks; the counters behind them. `power` is that of the first block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq,bmi2")]
fn quads<const N: usize, const ROUNDS: usize, const SEAL: bool>(
    keys: &[__m512i; 15],
    mut counters: __m512i,
    text: &mut [u8],
    powers: &Powers,
    power: usize,
    sum: &mut Product,
) -> __m512i {
    let [first, others @ ..] = keys;
    let (middle, last) = rounds::<_, ROUNDS>(others);
    let mut state = [_mm512_setzero_si512(); N];
    for state in &mut state {
        *state = _mm512_xor_si512(swapped(counters), *first);
        counters = _mm512_add_epi32(counters, _mm512_set4_epi32(0, 0, 0, 4));
    }
    for key in middle {
        for state in &mut state {
            *state = _mm512_aesenc_epi128(*state, *key);
        }
    }
    let mut at: *mut __m512i = text.as_mut_ptr().cast();
    let mut left = text.len();
    for (state, power) in state.into_iter().zip(falling::<N>(powers, power)) {
        let stream = _mm512_aesenclast_epi128(state, *last);
        let (before, after);
        if left >= 64 {
            // SAFETY: so many octets of the text are left from here on.
            unsafe {
                before = _mm512_loadu_si512(at);
                after = _mm512_xor_si512(before, stream);
                _mm512_storeu_si512(at, after);
            }
        } else {
            let present = _bzhi_u64(u64::MAX, u32::try_from(left).unwrap_or(0));
            // SAFETY: only what the mask has is read and written, and its bits are those of the octets that are left.
            unsafe {
                before = _mm512_maskz_loadu_epi8(present, at.cast());
                after = _mm512_maskz_mov_epi8(present, _mm512_xor_si512(before, stream));
                _mm512_mask_storeu_epi8(at.cast(), present, after);
            }
        }
        sum.add(swapped(if SEAL { after } else { before }), power);
        at = at.wrapping_add(1);
        left = left.saturating_sub(64);
    }
    counters
}

/// Sums of products, not reduced: each 256 bits wide, with four lanes of each part. Blocks are as `swapped` makes them.
struct Product {
    low: __m512i,
    middle: __m512i,
    high: __m512i,
}

impl Product {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn nothing() -> Self {
        let zero = _mm512_setzero_si512();
        Self { low: zero, middle: zero, high: zero }
    }

    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    fn add(&mut self, blocks: __m512i, powers: __m512i) {
        self.low = _mm512_xor_si512(self.low, _mm512_clmulepi64_epi128::<0x00>(blocks, powers));
        self.high = _mm512_xor_si512(self.high, _mm512_clmulepi64_epi128::<0x11>(blocks, powers));
        let (a, b) =
            (_mm512_clmulepi64_epi128::<0x01>(blocks, powers), _mm512_clmulepi64_epi128::<0x10>(blocks, powers));
        self.middle = _mm512_ternarylogic_epi64::<0x96>(self.middle, a, b);
    }

    /// The sum over the lanes, as an element of GCM's field.
    #[inline]
    #[target_feature(enable = "avx512f,pclmulqdq")]
    fn reduced(&self) -> __m128i {
        reduced(over_lanes(self.low), over_lanes(self.middle), over_lanes(self.high))
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn over_lanes(sums: __m512i) -> __m128i {
    let halves = _mm256_xor_si256(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums));
    _mm_xor_si128(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
}

/// GCM's polynomial, x^128 + x^7 + x^2 + x + 1, with its bits in the order of `swapped` and without the first.
#[inline]
#[target_feature(enable = "sse2")]
fn polynomial() -> __m128i {
    _mm_set_epi64x(0xc200_0000_0000_0000_u64.cast_signed(), 1)
}

/// Two times 64 bits of the lowest are added where the polynomial brings them to nothing; the rest is the result. The bits of a product of two
/// reflected numbers are one place off; that is made good in the powers (`doubled`).
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn reduced(low: __m128i, middle: __m128i, high: __m128i) -> __m128i {
    let low = _mm_xor_si128(low, _mm_slli_si128::<8>(middle));
    let high = _mm_xor_si128(high, _mm_srli_si128::<8>(middle));
    let fold = |low| _mm_xor_si128(_mm_shuffle_epi32::<0x4e>(low), _mm_clmulepi64_si128::<0x10>(low, polynomial()));
    _mm_xor_si128(high, fold(fold(low)))
}

#[inline]
#[target_feature(enable = "pclmulqdq")]
fn multiplied(a: __m128i, b: __m128i) -> __m128i {
    let middle = _mm_xor_si128(_mm_clmulepi64_si128::<0x01>(a, b), _mm_clmulepi64_si128::<0x10>(a, b));
    reduced(_mm_clmulepi64_si128::<0x00>(a, b), middle, _mm_clmulepi64_si128::<0x11>(a, b))
}

/// NIST SP 800-38D §7.1: the hash key is a block of zeros, encrypted. Its powers are kept one bit doubled.
#[target_feature(enable = "aes,avx2,pclmulqdq")]
fn powers<const ROUNDS: usize>(schedule: &Schedule) -> Box<Powers> {
    let mut powers = Box::new(Powers([[0; 16]; STRETCH + 3]));
    let key = doubled(swapped_block(encrypt_block::<ROUNDS>(schedule, _mm_setzero_si128())));
    let mut power = key;
    for place in powers.0.iter_mut().rev().skip(3) {
        // SAFETY: a block is 16 octets.
        unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), power) };
        power = multiplied(power, key);
    }
    powers
}

/// Times x: a shift of all bits, and the polynomial for the bit that is lost.
#[inline]
#[target_feature(enable = "avx2")]
fn doubled(value: __m128i) -> __m128i {
    let carries = _mm_slli_si128::<8>(_mm_srli_epi64::<63>(value));
    let lost = _mm_shuffle_epi32::<0xff>(_mm_srai_epi32::<31>(value));
    _mm_xor_si128(_mm_or_si128(_mm_slli_epi64::<1>(value), carries), _mm_and_si128(lost, polynomial()))
}

/// `N` times four powers, falling from this one on; at least one more than four times `N` less one.
#[inline]
#[target_feature(enable = "avx512f")]
fn falling<const N: usize>(powers: &Powers, power: usize) -> [__m512i; N] {
    let last = powers.0.len().saturating_sub(N.saturating_mul(4));
    let mut at: *const __m512i = powers.0.as_ptr().wrapping_add(STRETCH.saturating_sub(power).min(last)).cast();
    let mut quads = [_mm512_setzero_si512(); N];
    for quad in &mut quads {
        // SAFETY: `N` times four blocks follow even the last place.
        *quad = unsafe { _mm512_loadu_si512(at) };
        at = at.wrapping_add(1);
    }
    quads
}

/// The hash of what is not encrypted: a block at ESP's packets, few at IKE's messages.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,pclmulqdq")]
fn hash_of(associated: &[u8], powers: &Powers) -> __m128i {
    let [lowest] = falling::<1>(powers, 1);
    let key = _mm512_castsi512_si128(lowest);
    let mut hash = _mm_setzero_si128();
    for part in associated.chunks(16) {
        let present = u16::MAX.checked_shr(16u32.saturating_sub(u32::try_from(part.len()).unwrap_or(0))).unwrap_or(0);
        // SAFETY: only what the mask has is read, and its bits are those of the part's octets.
        let part = unsafe { _mm_maskz_loadu_epi8(present, part.as_ptr().cast()) };
        hash = multiplied(_mm_xor_si128(hash, swapped_block(part)), key);
    }
    hash
}

#[inline]
#[target_feature(enable = "aes,avx2")]
fn encrypt_block<const ROUNDS: usize>(schedule: &Schedule, text: __m128i) -> __m128i {
    let [first, others @ ..] = &schedule.keys;
    let (middle, last) = rounds::<_, ROUNDS>(others);
    let mut state = _mm_xor_si128(text, block(first));
    for key in middle {
        state = _mm_aesenc_si128(state, block(key));
    }
    _mm_aesenclast_si128(state, block(last))
}

/// NIST SP 800-38D §7.1: the nonce and a counter that begins with 1, as `swapped` has it.
#[inline]
#[target_feature(enable = "sse2")]
fn counter_block(nonce: &[u8; 12]) -> __m128i {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *nonce;
    let word = |octets| i32::from_be_bytes(octets);
    _mm_set_epi32(word([a, b, c, d]), word([e, f, g, h]), word([i, j, k, l]), 1)
}

fn bits(octets: &[u8]) -> i64 {
    i64::try_from(octets.len().saturating_mul(8)).unwrap_or(i64::MAX)
}

/// The octets of each block the other way round: GCM counts from the other end than the processor.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn swapped(blocks: __m512i) -> __m512i {
    _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(order()))
}

#[inline]
#[target_feature(enable = "ssse3")]
fn swapped_block(block: __m128i) -> __m128i {
    _mm_shuffle_epi8(block, order())
}

#[inline]
#[target_feature(enable = "sse2")]
fn order() -> __m128i {
    _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
}
