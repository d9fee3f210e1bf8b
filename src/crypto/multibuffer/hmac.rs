//! HMAC (RFC 2104) over several messages of one key, one message a lane. The states behind the padded key are computed once.

use std::array;

use zeroize::Zeroize;

use crate::crypto::cipher::Integrity;
use crate::crypto::multibuffer::message::{Blocks, Message, Word};
#[cfg(target_arch = "x86_64")]
use crate::crypto::multibuffer::x86::{self, avx2, avx2_wide, avx512, avx512_wide, sha_ni};
use crate::crypto::multibuffer::{Backend, Kind};

/// From so many messages on the lanes are faster than the next best; measured, docs/decisions/0007.
#[cfg(target_arch = "x86_64")]
mod from {
    pub(super) const SIXTEEN_OF_SHA_256: usize = 10;
    pub(super) const SIXTEEN_OF_SHA_1: usize = 8;
    pub(super) const EIGHT_OF_SHA_1: usize = 7;
    /// Beside one message without the SHA extensions.
    pub(super) const EIGHT_WITHOUT_SHA_NI: usize = 3;
    pub(super) const SHA_512: usize = 2;
}

/// A message's whole HMAC, as many of its octets as the hash has.
pub(in crate::crypto) type Tag = [u8; 64];

/// The state of a hash function in several lanes: word by word, and in each word lane by lane.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct State<W, const L: usize>(pub(super) [[W; L]; 8]);

/// A hash function's compression in `L` lanes.
pub(super) trait Compress<W, const L: usize>: Copy {
    /// Compresses `count` blocks of each lane. What is in a lane with fewer is undefined afterwards.
    fn compress(self, state: &mut State<W, L>, blocks: &[&[u8]; L], count: usize);

    /// Compresses one block of each lane, given as words.
    fn compress_words(self, state: &mut State<W, L>, words: &[[W; L]; 16]);
}

/// One key's HMAC by lanes.
pub(in crate::crypto) struct HmacLanes {
    kind: Kind,
    key: Key,
}

enum Key {
    Sha1(Box<Midstates<u32>>),
    Sha256(Box<Midstates<u32>>),
    Sha512(Box<Midstates<u64>>),
}

/// The states behind the inner and the outer key block.
struct Midstates<W: Zeroize> {
    inner: [W; 8],
    outer: [W; 8],
    /// Words of the hash's output.
    words: usize,
}

impl<W: Zeroize> Drop for Midstates<W> {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

impl HmacLanes {
    /// None where the backend has no lanes for this hash, or the key is longer than a block.
    pub(in crate::crypto) fn new(backend: Backend, integrity: Integrity, key: &[u8]) -> Option<Self> {
        if backend == Backend::PORTABLE || key.len() > u32::BLOCK {
            return None;
        }
        let sha512 = |state: &mut [u64; 8], block: &[u8; 128]| sha2::block_api::compress512(state, &[*block]);
        let key = match integrity {
            Integrity::HmacSha1_96 => Key::Sha1(Midstates::new(key, 5, [0; 64], SHA1, |state, block| {
                if let Some(state) = state.first_chunk_mut() {
                    sha1::block_api::compress(state, &[*block]);
                }
            })),
            Integrity::HmacSha256_96 | Integrity::HmacSha256_128 => {
                Key::Sha256(Midstates::new(key, 8, [0; 64], SHA256, |state, block| {
                    sha2::block_api::compress256(state, &[*block]);
                }))
            }
            Integrity::HmacSha384_192 => Key::Sha512(Midstates::new(key, 6, [0; 128], SHA384, sha512)),
            Integrity::HmacSha512_256 => Key::Sha512(Midstates::new(key, 8, [0; 128], SHA512, sha512)),
        };
        Some(Self { kind: backend.0, key })
    }

    /// The tags of the first messages, and of how many: the others are too few for the lanes to pay. All must fit a lane.
    pub(in crate::crypto) fn tags(&self, messages: &[Message<'_>], tags: &mut [Tag]) -> usize {
        match self.kind {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512, pairs) => {
                let done = match &self.key {
                    Key::Sha1(key) => key.tags(avx512::Sha1(avx512), messages, tags, from::SIXTEEN_OF_SHA_1),
                    Key::Sha256(key) => key.tags(avx512::Sha256(avx512), messages, tags, from::SIXTEEN_OF_SHA_256),
                    Key::Sha512(key) => key.tags(avx512_wide::Sha512(avx512), messages, tags, from::SHA_512),
                };
                pairs.map_or(done, |sha_ni| self.pairs(sha_ni, messages, tags, done))
            }
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi(avx2, sha_ni) => match &self.key {
                Key::Sha512(key) => key.tags(avx2_wide::Sha512(avx2), messages, tags, from::SHA_512),
                Key::Sha256(_) => self.pairs(sha_ni, messages, tags, 0),
                Key::Sha1(key) => {
                    let done = key.tags(avx2::Sha1(avx2), messages, tags, from::EIGHT_OF_SHA_1);
                    self.pairs(sha_ni, messages, tags, done)
                }
            },
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) => match &self.key {
                Key::Sha1(key) => key.tags(avx2::Sha1(avx2), messages, tags, from::EIGHT_WITHOUT_SHA_NI),
                Key::Sha256(key) => key.tags(avx2::Sha256(avx2), messages, tags, from::EIGHT_WITHOUT_SHA_NI),
                Key::Sha512(key) => key.tags(avx2_wide::Sha512(avx2), messages, tags, from::SHA_512),
            },
            Kind::Portable => 0,
        }
    }

    /// Those behind the first `done`; how many are done then.
    #[cfg(target_arch = "x86_64")]
    fn pairs(&self, sha_ni: x86::ShaNi, messages: &[Message<'_>], tags: &mut [Tag], done: usize) -> usize {
        let (Some(messages), Some(tags)) = (messages.get(done..), tags.get_mut(done..)) else { return done };
        done.saturating_add(match &self.key {
            Key::Sha1(key) => key.tags(sha_ni::Sha1(sha_ni), messages, tags, 2),
            Key::Sha256(key) => key.tags(sha_ni::Sha256(sha_ni), messages, tags, 2),
            Key::Sha512(_) => 0,
        })
    }
}

impl<W: Zeroize + Copy> Midstates<W> {
    fn new<const B: usize>(
        key: &[u8],
        words: usize,
        blank: [u8; B],
        start: [W; 8],
        compress: fn(&mut [W; 8], &[u8; B]),
    ) -> Box<Self> {
        let mut states = Box::new(Self { inner: start, outer: start, words });
        let mut block = blank;
        for (state, pad) in [(&mut states.inner, 0x36), (&mut states.outer, 0x5c)] {
            block = blank;
            block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
            block.iter_mut().for_each(|octet| *octet ^= pad);
            compress(state, &block);
        }
        block.zeroize();
        states
    }
}

impl<W: Word> Midstates<W> {
    /// Fills the lanes with messages as long as at least `fewest` are left.
    fn tags<E: Compress<W, L>, const L: usize>(
        &self,
        engine: E,
        messages: &[Message<'_>],
        tags: &mut [Tag],
        fewest: usize,
    ) -> usize {
        let mut done = 0usize;
        for (messages, tags) in messages.chunks(L).zip(tags.chunks_mut(L)) {
            if messages.len() < fewest {
                break;
            }
            self.tags_of_lanes(engine, messages, tags);
            done = done.saturating_add(messages.len());
        }
        done
    }

    fn tags_of_lanes<E: Compress<W, L>, const L: usize>(&self, engine: E, messages: &[Message<'_>], tags: &mut [Tag]) {
        let mut lanes = [const { Blocks::<W>::IDLE }; L];
        lanes.iter_mut().zip(messages).for_each(|(lane, message)| lane.load(message));
        let mut state = State(self.inner.map(|word| [word; L]));
        let mut digests = [[W::default(); L]; 16];
        loop {
            let runs: [&[u8]; L] = array::from_fn(|lane| lanes.get(lane).map_or(&[][..], Blocks::run));
            let shortest = runs.iter().map(|run| run.len()).filter(|len| *len > 0).min();
            let Some(octets) = shortest else { break };
            engine.compress(&mut state, &runs, octets.checked_div(W::BLOCK).unwrap_or(0));
            let mut ended = [false; L];
            ended.iter_mut().zip(&mut lanes).for_each(|(ended, lane)| *ended = lane.advance(octets));
            if ended == [true; L] {
                digests.iter_mut().zip(&state.0).for_each(|(to, from)| *to = *from);
                break;
            }
            for (lane, _) in ended.into_iter().enumerate().filter(|(_, ended)| *ended) {
                copy_lane(&mut digests, &state, lane);
            }
        }
        let mut rest = digests.iter_mut().skip(self.words);
        rest.next().into_iter().for_each(|word| *word = [W::END_MARK; L]);
        let octets = W::BLOCK.saturating_add(self.words.saturating_mul(size_of::<W>()));
        let mut rest = rest.rev();
        rest.next().into_iter().for_each(|word| *word = [W::bits(octets); L]);
        rest.for_each(|word| *word = [W::default(); L]);

        state = State(self.outer.map(|word| [word; L]));
        engine.compress_words(&mut state, &digests);
        for (index, tag) in tags.iter_mut().enumerate() {
            for (to, word) in tag.chunks_exact_mut(size_of::<W>()).zip(&state.0) {
                word.get(index).into_iter().for_each(|word| word.write(to));
            }
        }
    }
}

fn copy_lane<W: Copy, const L: usize>(to: &mut [[W; L]; 16], from: &State<W, L>, lane: usize) {
    for (to, from) in to.iter_mut().zip(&from.0) {
        if let (Some(to), Some(from)) = (to.get_mut(lane), from.get(lane)) {
            *to = *from;
        }
    }
}

/// FIPS 180-4 §5.3.3.
const SHA256: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// FIPS 180-4 §5.3.1; the last three are not used.
const SHA1: [u32; 8] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0, 0, 0, 0];

/// FIPS 180-4 §5.3.4.
const SHA384: [u64; 8] = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];

/// FIPS 180-4 §5.3.5.
const SHA512: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];
