//! Randomness as the pure layers know it: handed in.

/// A source of octets that nobody can predict. The daemon's asks the operating system and ends the process when it fails; the simulator's is seeded.
pub trait Random: Send {
    /// Fills all of `out`.
    fn fill(&mut self, out: &mut [u8]);
}
