//! Writing. A length is filled in when its part is closed, from the octets that are there.

use crate::ike::wire::error::EncodeError;

/// Octets of a message in the making.
#[derive(Debug, Default)]
pub struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    /// Nothing written yet.
    pub const fn new() -> Self {
        Self { octets: Vec::new() }
    }

    /// One octet.
    pub fn u8(&mut self, value: u8) {
        self.octets.push(value);
    }

    /// Two octets in network order.
    pub fn u16(&mut self, value: u16) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// Four octets in network order.
    pub fn u32(&mut self, value: u32) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// Octets as they are.
    pub fn octets(&mut self, octets: &[u8]) {
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
        self.octets.extend_from_slice(&[first, second]);
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
    pub fn finish(self) -> Vec<u8> {
        self.octets
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
