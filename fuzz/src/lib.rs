//! What fuzz targets share: octets as a story, read from the front until none are left, and the stage that stories of sessions are told on.

pub mod scene;

/// Octets that decide what happens. When they run out, everything is zero and nothing more happens.
pub struct Story<'a> {
    rest: &'a [u8],
}

impl<'a> Story<'a> {
    /// A story from a fuzzer's input.
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Whether something is left to happen.
    pub fn goes_on(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The next octet.
    pub fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// The next two octets as a number.
    pub fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    /// The next four octets as a number.
    pub fn long_number(&mut self) -> u32 {
        u32::from(self.number()) << 16 | u32::from(self.number())
    }

    /// A number of octets, then so many of them, or fewer at the end.
    pub fn octets(&mut self) -> &'a [u8] {
        let count = usize::from(self.number()) % 2048;
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// One of several things.
    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.octet()) % from.len()]
    }
}
