//! Sequence numbers of packets that we send: each is used once, and they end (RFC 4303 §2.2, §3.3.3).

/// Numbers that are passed over when an SA goes on in another process.
pub(crate) const JUMP: u64 = 1 << 16;

/// The right to seal one packet. It cannot be copied: one ticket, one packet, one IV.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket(u64);

impl Ticket {
    /// All 64 bits; the high half is zero without ESN.
    pub const fn value(&self) -> u64 {
        self.0
    }
}

/// All numbers of this SA were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// The numbers of one outbound SA: from 1 to 2^32 - 1, or with ESN to 2^64 - 1.
#[derive(Debug)]
pub struct Sequence {
    used: u64,
    last: u64,
}

impl Sequence {
    /// A new SA's numbers.
    pub const fn new(esn: bool) -> Self {
        Self { used: 0, last: if esn { u64::MAX } else { u32::MAX as u64 } }
    }

    /// The numbers of an SA that goes on in another process: a jump ahead of those that were used, so that none comes twice whatever the other
    /// process did after it was asked. `None` where there is no room for the jump.
    pub fn continued(used: u64, esn: bool) -> Option<Self> {
        let sequence = Self::new(esn);
        let used = used.checked_add(JUMP).filter(|used| *used < sequence.last)?;
        Some(Self { used, ..sequence })
    }

    /// How many were used, and the last of them.
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// The next number.
    pub const fn issue(&mut self) -> Result<Ticket, Exhausted> {
        if self.used >= self.last {
            return Err(Exhausted);
        }
        self.used = self.used.saturating_add(1);
        Ok(Ticket(self.used))
    }

    /// Whether three quarters are used: time to replace the SA.
    pub const fn is_running_out(&self) -> bool {
        self.used >= self.last.saturating_sub(self.last >> 2)
    }

    /// Whether none is left.
    pub const fn is_exhausted(&self) -> bool {
        self.used >= self.last
    }

    #[cfg(test)]
    pub(in crate::esp) const fn starting_behind(used: u64, esn: bool) -> Self {
        let mut sequence = Self::new(esn);
        sequence.used = used;
        sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_04_numbers_start_at_one_and_ascend() {
        let mut sequence = Sequence::new(false);
        let numbers: Vec<_> = (0..3).map(|_| sequence.issue().unwrap().value()).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn c_09_without_esn_numbers_end_before_two_to_the_32() {
        let mut sequence = Sequence::starting_behind(0xffff_fffe, false);
        assert!(!sequence.is_exhausted());
        assert_eq!(sequence.issue(), Ok(Ticket(0xffff_ffff)));
        assert!(sequence.is_exhausted());
        assert_eq!(sequence.issue(), Err(Exhausted));
        assert_eq!(sequence.issue(), Err(Exhausted));
    }

    #[test]
    fn e_04_with_esn_numbers_pass_two_to_the_32_and_end_before_two_to_the_64() {
        let mut sequence = Sequence::starting_behind(0xffff_ffff, true);
        assert_eq!(sequence.issue(), Ok(Ticket(0x1_0000_0000)));
        let mut sequence = Sequence::starting_behind(u64::MAX - 1, true);
        assert_eq!(sequence.issue(), Ok(Ticket(u64::MAX)));
        assert_eq!(sequence.issue(), Err(Exhausted));
    }

    #[test]
    fn e_04_an_sa_that_goes_on_elsewhere_passes_numbers_over_and_never_the_last() {
        assert_eq!(Sequence::continued(5, false).unwrap().issue(), Ok(Ticket(6 + JUMP)));
        let end = u64::from(u32::MAX) - JUMP;
        assert_eq!(Sequence::continued(end - 1, false).unwrap().issue(), Ok(Ticket(u32::MAX.into())));
        assert!(Sequence::continued(end, false).is_none() && Sequence::continued(u64::MAX, true).is_none());
        assert_eq!(Sequence::continued(end, true).unwrap().issue(), Ok(Ticket(1 << 32)));
    }

    #[test]
    fn c_09_the_soft_limit_comes_a_quarter_before_the_end() {
        assert!(!Sequence::starting_behind(0xbfff_ffff, false).is_running_out());
        assert!(Sequence::starting_behind(0xc000_0000, false).is_running_out());
        assert!(!Sequence::starting_behind(0xc000_0000, true).is_running_out());
        assert!(Sequence::starting_behind(0xc000_0000_0000_0000, true).is_running_out());
    }
}
