//! One message as the blocks that a hash compresses (FIPS 180-4 §5). Whole blocks of the text are read where they are;
//! only what is around them is copied.

/// What is authenticated, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::crypto) struct Message<'a> {
    pub(in crate::crypto) associated: &'a [u8],
    pub(in crate::crypto) iv: &'a [u8],
    pub(in crate::crypto) text: &'a [u8],
    pub(in crate::crypto) suffix: &'a [u8],
}

/// A hash function's word: its block has sixteen.
pub(super) trait Word: Copy + Default + zeroize::Zeroize {
    /// Octets of a block.
    const BLOCK: usize;
    /// Octets of the message's length in the padding.
    const LENGTH: usize;
    /// Three blocks: the first, and at most two last.
    type Edges: AsRef<[u8]> + AsMut<[u8]>;
    const BLANK: Self::Edges;
    /// A number of bits.
    fn bits(octets: usize) -> Self;
    /// Writes it out, highest octet first, as far as there is room.
    fn write(self, to: &mut [u8]);
    /// The first word behind a message.
    const END_MARK: Self;
}

impl Word for u32 {
    const BLOCK: usize = 64;
    const LENGTH: usize = 8;
    type Edges = [u8; 192];
    const BLANK: Self::Edges = [0; 192];
    const END_MARK: Self = 0x8000_0000;

    fn bits(octets: usize) -> Self {
        Self::try_from(octets.saturating_mul(8)).unwrap_or(Self::MAX)
    }

    fn write(self, to: &mut [u8]) {
        to.iter_mut().zip(self.to_be_bytes()).for_each(|(to, from)| *to = from);
    }
}

impl Word for u64 {
    const BLOCK: usize = 128;
    const LENGTH: usize = 16;
    type Edges = [u8; 384];
    const BLANK: Self::Edges = [0; 384];
    const END_MARK: Self = 0x8000_0000_0000_0000;

    fn bits(octets: usize) -> Self {
        Self::try_from(octets.saturating_mul(8)).unwrap_or(Self::MAX)
    }

    fn write(self, to: &mut [u8]) {
        to.iter_mut().zip(self.to_be_bytes()).for_each(|(to, from)| *to = from);
    }
}

impl Message<'_> {
    /// Octets in all.
    pub(super) fn len(&self) -> usize {
        self.lead().saturating_add(self.text.len()).saturating_add(self.suffix.len())
    }

    /// Whether the first block reaches the text, the last two hold what is behind it, and the length in bits fits a word. ESP's messages always do.
    pub(in crate::crypto) fn fits_a_lane(&self) -> bool {
        self.lead() <= u32::BLOCK && self.suffix.len() <= u32::LENGTH && self.text.len() <= usize::from(u16::MAX)
    }

    fn lead(&self) -> usize {
        self.associated.len().saturating_add(self.iv.len())
    }
}

/// The blocks of one message, a run of whole blocks at a time.
pub(super) struct Blocks<'a, W: Word> {
    edges: W::Edges,
    middle: &'a [u8],
    tail_end: usize,
    stage: Stage,
    done: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Middle,
    Tail,
    Over,
}

impl<'a, W: Word> Blocks<'a, W> {
    /// A lane without a message.
    pub(super) const IDLE: Self = Self { edges: W::BLANK, middle: &[], tail_end: 0, stage: Stage::Over, done: 0 };

    /// Takes a message that fits a lane, behind one block that was compressed before.
    pub(super) fn load(&mut self, message: &Message<'a>) {
        let Message { associated, iv, text, suffix } = *message;
        let (head, tail) = self.edges.as_mut().split_at_mut_checked(W::BLOCK).unwrap_or_default();
        let from_text = W::BLOCK.saturating_sub(message.lead());
        let used = if let Some((start, rest)) = text.split_at_checked(from_text) {
            write(head, [associated, iv, start]);
            let whole = rest.len().saturating_sub(rest.len() & W::BLOCK.saturating_sub(1));
            let (middle, last) = rest.split_at_checked(whole).unwrap_or_default();
            self.middle = middle;
            self.stage = Stage::Head;
            write(tail, [last, suffix, &[0x80]])
        } else {
            self.middle = &[];
            self.stage = Stage::Tail;
            write(tail, [associated, iv, text, suffix, &[0x80]])
        };
        let blocks = if used.saturating_add(W::LENGTH) <= W::BLOCK { W::BLOCK } else { W::BLOCK.saturating_mul(2) };
        let length = W::bits(message.len().saturating_add(W::BLOCK));
        let at = blocks.saturating_sub(size_of::<W>());
        length.write(tail.get_mut(at..blocks).unwrap_or_default());
        self.tail_end = W::BLOCK.saturating_add(blocks);
        self.done = 0;
    }

    /// What comes next, as far as it lies together; empty when nothing does.
    pub(super) fn run(&self) -> &[u8] {
        let edges = self.edges.as_ref();
        let stretch = match self.stage {
            Stage::Head => edges.get(..W::BLOCK),
            Stage::Middle => Some(self.middle),
            Stage::Tail => edges.get(W::BLOCK..self.tail_end),
            Stage::Over => None,
        };
        stretch.and_then(|stretch| stretch.get(self.done..)).unwrap_or_default()
    }

    /// So many octets of the run were compressed. Whether the message ended with them.
    pub(super) fn advance(&mut self, octets: usize) -> bool {
        if self.stage == Stage::Over {
            return false;
        }
        self.done = self.done.saturating_add(octets);
        while self.stage != Stage::Over && self.run().is_empty() {
            self.done = 0;
            self.stage = match self.stage {
                Stage::Head => Stage::Middle,
                Stage::Middle => Stage::Tail,
                Stage::Tail | Stage::Over => Stage::Over,
            };
        }
        self.stage == Stage::Over
    }
}

/// Writes the parts one behind the other; how many octets they are.
#[inline]
fn write<const N: usize>(to: &mut [u8], parts: [&[u8]; N]) -> usize {
    let mut at = 0usize;
    for part in parts {
        let end = at.saturating_add(part.len());
        if let Some(room) = to.get_mut(at..end) {
            copy(room, part);
        }
        at = end;
    }
    at
}

/// The lengths that ESP has most are copied without a call.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    fn fixed<const N: usize>(to: &mut [u8], from: &[u8]) {
        if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
            *to = *from;
        }
    }
    match from.len() {
        0 => {}
        1 => fixed::<1>(to, from),
        4 => fixed::<4>(to, from),
        8 => fixed::<8>(to, from),
        16 => fixed::<16>(to, from),
        24 => fixed::<24>(to, from),
        40 => fixed::<40>(to, from),
        56 => fixed::<56>(to, from),
        104 => fixed::<104>(to, from),
        _ => to.copy_from_slice(from),
    }
}
