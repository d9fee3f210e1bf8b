//! Writing. A length is filled in when its part is closed, from the octets that are there.

use zeroize::Zeroize;

use crate::ike::wire::error::EncodeError;

/// Octets of a message in the making. What it holds may be a password: it leaves no copy behind when it grows.
#[derive(Debug, Default)]
pub struct Writer {
    octets: Vec<u8>,
}

/// Room to begin with.
const SMALLEST: usize = 128;

impl Writer {
    /// Nothing written yet.
    pub const fn new() -> Self {
        Self { octets: Vec::new() }
    }

    /// One octet.
    pub fn u8(&mut self, value: u8) {
        self.octets(&[value]);
    }

    /// Two octets in network order.
    pub fn u16(&mut self, value: u16) {
        self.octets(&value.to_be_bytes());
    }

    /// Four octets in network order.
    pub fn u32(&mut self, value: u32) {
        self.octets(&value.to_be_bytes());
    }

    /// Octets as they are.
    pub fn octets(&mut self, octets: &[u8]) {
        let needed = self.octets.len().saturating_add(octets.len());
        if needed > self.octets.capacity() {
            let mut grown = Vec::with_capacity(needed.saturating_mul(2).max(SMALLEST));
            grown.extend_from_slice(&self.octets);
            self.octets.zeroize();
            self.octets = grown;
        }
        self.octets.extend_from_slice(octets);
    }

    /// A count of things in one octet.
    pub fn count(&mut self, count: usize) -> Result<(), EncodeError> {
        self.u8(u8::try_from(count).map_err(|_| EncodeError::TooMany)?);
        Ok(())
    }

    /// Two octets, the length of the whole structure, and what `content` writes (RFC 7296 §3.2).
    pub fn structure<F>(&mut self, first: u8, second: u8, content: F) -> Result<(), EncodeError>
    where
        F: FnOnce(&mut Self) -> Result<(), EncodeError>,
    {
        let start = self.octets.len();
        self.octets(&[first, second]);
        self.with_length(start, content)
    }

    /// An attribute: its type, the length of its value, and what `value` writes (RFC 7296 §3.15.1).
    pub fn attribute<F>(&mut self, kind: u16, value: F) -> Result<(), EncodeError>
    where
        F: FnOnce(&mut Self) -> Result<(), EncodeError>,
    {
        self.u16(kind);
        let start = self.octets.len().saturating_add(2);
        self.with_length(start, value)
    }

    /// What was written.
    pub fn finish(mut self) -> Vec<u8> {
        std::mem::take(&mut self.octets)
    }

    fn with_length<F>(&mut self, counted_from: usize, content: F) -> Result<(), EncodeError>
    where
        F: FnOnce(&mut Self) -> Result<(), EncodeError>,
    {
        let field = self.octets.len();
        self.u16(0);
        content(self)?;
        let length = self.octets.len().saturating_sub(counted_from);
        let length = u16::try_from(length).map_err(|_| EncodeError::TooLong)?;
        let place = self.octets.get_mut(field..).and_then(|octets| octets.first_chunk_mut());
        *place.ok_or(EncodeError::TooLong)? = length.to_be_bytes();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_what_was_written_also_when_parts_are_nested() {
        let mut writer = Writer::new();
        writer
            .structure(1, 2, |writer| {
                writer.u16(0xaabb);
                writer.structure(3, 4, |writer| {
                    writer.u32(7);
                    Ok(())
                })?;
                writer.attribute(5, |writer| {
                    writer.octets(&[6; 3]);
                    Ok(())
                })
            })
            .unwrap();
        let expected = [1, 2, 0, 21, 0xaa, 0xbb, 3, 4, 0, 8, 0, 0, 0, 7, 0, 5, 0, 3, 6, 6, 6];
        assert_eq!(writer.finish(), expected);
    }

    #[test]
    fn a_part_too_long_for_its_length_field_is_an_error() {
        let write = |octets: usize| {
            Writer::new().structure(0, 0, |writer| {
                writer.octets(&vec![0; octets]);
                Ok(())
            })
        };
        assert_eq!(write(65_531), Ok(()));
        assert_eq!(write(65_532), Err(EncodeError::TooLong));
        let attribute = |octets: usize| {
            Writer::new().attribute(0, |writer| {
                writer.octets(&vec![0; octets]);
                Ok(())
            })
        };
        assert_eq!(attribute(65_535), Ok(()));
        assert_eq!(attribute(65_536), Err(EncodeError::TooLong));
    }

    #[test]
    fn a_count_beyond_one_octet_is_an_error() {
        assert_eq!(Writer::new().count(255), Ok(()));
        assert_eq!(Writer::new().count(256), Err(EncodeError::TooMany));
    }
}
