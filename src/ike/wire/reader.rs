//! Bounded reading. A reader knows only its own part; nothing it gives out lies beyond that part's end.

use crate::ike::wire::error::DecodeError;

/// Reads a part from its start to its end, and knows where the part stands in the whole.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `octets`, the first of which stands at `position` of the whole.
    pub const fn new(octets: &'a [u8], position: usize) -> Self {
        Self { rest: octets, position }
    }

    /// Where the next octet stands in the whole.
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Whether every octet was read.
    pub const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` octets.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated { at: self.position })?;
        self.rest = rest;
        self.position = self.position.saturating_add(count);
        Ok(taken)
    }

    /// The next `count` octets as a part of their own.
    pub fn part(&mut self, count: usize) -> Result<Reader<'a>, DecodeError> {
        let position = self.position;
        self.take(count).map(|octets| Reader::new(octets, position))
    }

    /// The next `N` octets.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated { at: self.position })?;
        self.rest = rest;
        self.position = self.position.saturating_add(N);
        Ok(*taken)
    }

    /// One octet.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    /// Two octets in network order.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four octets in network order.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// All that is left; may be nothing.
    pub fn remainder(self) -> &'a [u8] {
        self.rest
    }

    /// The shape that payloads, proposals, transforms and traffic selectors share: two octets, a length of the whole structure, its contents.
    pub fn structure(&mut self) -> Result<Structure<'a>, DecodeError> {
        let at = self.position;
        let first = self.u8()?;
        let second = self.u8()?;
        let length = usize::from(self.u16()?);
        // RFC 7296 §3.2: the length includes the generic header.
        let content = length.checked_sub(4).ok_or(DecodeError::Length { at })?;
        let content = self.part(content).map_err(|_| DecodeError::Length { at })?;
        Ok(Structure { first, second, content, at })
    }

    /// The end of the part: an octet that was not read is an error.
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::LeftOver { at: self.position }) }
    }
}

/// Two octets and the contents that a length was given for.
#[derive(Clone, Debug)]
pub struct Structure<'a> {
    /// First octet.
    pub first: u8,
    /// Second octet.
    pub second: u8,
    /// What the length covers, without these two octets and the length itself.
    pub content: Reader<'a>,
    /// Where the structure starts in the whole.
    pub at: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_from_beyond_the_end_and_nothing_is_lost_by_trying() {
        let mut reader = Reader::new(&[1, 2, 3], 10);
        assert_eq!(reader.u32(), Err(DecodeError::Truncated { at: 10 }));
        assert_eq!(reader.take(4), Err(DecodeError::Truncated { at: 10 }));
        assert_eq!(reader.take(usize::MAX), Err(DecodeError::Truncated { at: 10 }));
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u16(), Err(DecodeError::Truncated { at: 12 }));
        assert_eq!(reader.u8(), Ok(3));
        assert!(reader.is_at_end());
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_part_ends_where_its_length_says() {
        let mut reader = Reader::new(&[1, 2, 3, 4], 0);
        let mut part = reader.part(2).unwrap();
        assert_eq!(part.array::<3>(), Err(DecodeError::Truncated { at: 0 }));
        assert_eq!(part.u8(), Ok(1));
        assert_eq!(part.finish(), Err(DecodeError::LeftOver { at: 1 }));
        assert_eq!((reader.position(), reader.remainder()), (2, &[3, 4][..]));
    }

    #[test]
    fn a_structure_counts_its_own_four_octets_and_lies_within_its_part() {
        let read = |octets: &[u8]| Reader::new(octets, 100).structure().map(|s| s.content.remainder().to_vec());
        assert_eq!(read(&[9, 8, 0, 6, 1, 2, 3]), Ok(vec![1, 2]));
        assert_eq!(read(&[9, 8, 0, 4]), Ok(vec![]));
        for length in 0..4 {
            assert_eq!(read(&[9, 8, 0, length, 1, 2]), Err(DecodeError::Length { at: 100 }));
        }
        assert_eq!(read(&[9, 8, 0, 7, 1, 2]), Err(DecodeError::Length { at: 100 }));
        assert_eq!(read(&[9, 8, 0xff, 0xff, 1, 2]), Err(DecodeError::Length { at: 100 }));
        assert_eq!(read(&[9, 8, 0]), Err(DecodeError::Truncated { at: 102 }));
    }
}
