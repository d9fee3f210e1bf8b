//! Where the lanes' blocks are: the one place that turns lengths into addresses to read from.

use std::marker::PhantomData;

/// What a lane without work reads.
static NOTHING: [u8; 128] = [0; 128];

/// As many readable octets in each lane as all lanes are read together.
pub(super) struct Lanes<'a, const L: usize> {
    starts: [*const u8; L],
    /// All ones where the lane has so many octets, else zero: it then stays at its start.
    steps: [usize; L],
    octets: usize,
    block: usize,
    texts: PhantomData<&'a [u8]>,
}

impl<'a, const L: usize> Lanes<'a, L> {
    /// Lanes of `count` blocks of `block` octets, at most 128. One whose text is shorter has no work.
    pub(super) fn new(texts: &[&'a [u8]; L], count: usize, block: usize) -> Self {
        let block = block.clamp(1, NOTHING.len());
        let octets = count.saturating_mul(block);
        Self {
            starts: texts.map(|text| if text.len() >= octets { text.as_ptr() } else { NOTHING.as_ptr() }),
            steps: texts.map(|text| if text.len() >= octets { usize::MAX } else { 0 }),
            octets,
            block,
            texts: PhantomData,
        }
    }

    /// Where each lane's next block is, for all blocks in order: the block's octets can be read there while the texts are borrowed.
    #[inline]
    pub(super) fn blocks(&self) -> impl Iterator<Item = [*const u8; L]> {
        (0..self.octets).step_by(self.block).map(|offset| {
            let mut at = self.starts;
            at.iter_mut().zip(&self.steps).for_each(|(at, step)| *at = at.wrapping_add(offset & step));
            at
        })
    }
}
