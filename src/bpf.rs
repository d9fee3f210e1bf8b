//! Programs for the kernel's classic packet filter, which sockets and seccomp(2) share. It makes instructions and knows no system call.
//!
//! What a program says of its input is told by the value it returns; what that means is the matter of whoever hands it to the kernel.

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What is done.
    pub code: u16,
    /// Instructions to pass over when a comparison holds.
    pub holds: u8,
    /// Instructions to pass over when it does not.
    pub fails: u8,
    /// Its operand.
    pub operand: u32,
}

const LOAD_WORD: u16 = 0x20;
const LOAD_LENGTH: u16 = 0x80;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const EQUAL: u16 = 0x15;
const GREATER: u16 = 0x25;
const AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// The most instructions that the kernel takes (linux/bpf_common.h `BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// A word of the input, in the input's own order of octets, and what it has to be.
pub type Condition = (u32, u32);

/// A program under construction: statements in order, each of which returns or goes on to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    /// The instructions so far.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Ends with `verdict`.
    pub fn end(&mut self, verdict: u32) {
        self.push(RETURN, verdict);
    }

    /// Ends with `verdict` if all of the conditions hold. A word that lies beyond the input ends the program with 0.
    pub fn end_if_all(&mut self, conditions: &[Condition], verdict: u32) {
        self.unless_all_then_pass_over(conditions, 1);
        self.end(verdict);
    }

    /// Ends with `verdict` if a word has at least one of the bits.
    pub fn end_if_any_bit(&mut self, at: u32, bits: u32, verdict: u32) {
        self.push(LOAD_WORD, at);
        self.push(AND, bits);
        self.jump(EQUAL, 0, 1, 0);
        self.end(verdict);
    }

    /// Ends with `verdict` if a word has none of the bits.
    pub fn end_if_no_bit(&mut self, at: u32, bits: u32, verdict: u32) {
        self.push(LOAD_WORD, at);
        self.push(AND, bits);
        self.jump(EQUAL, 0, 0, 1);
        self.end(verdict);
    }

    /// Ends with `verdict` if a word, as an unsigned number, is at least so much.
    pub fn end_if_at_least(&mut self, at: u32, least: u32, verdict: u32) {
        self.push(LOAD_WORD, at);
        self.jump(AT_LEAST, least, 0, 1);
        self.end(verdict);
    }

    /// Ends with `verdict` if the input is longer than this.
    pub fn end_if_longer(&mut self, octets: u32, verdict: u32) {
        self.push(LOAD_LENGTH, 0);
        self.jump(GREATER, octets, 0, 1);
        self.end(verdict);
    }

    /// Runs the block if a word has a value, and passes over it if not. A block of more than 255 instructions is never passed over.
    pub fn when(&mut self, (at, wanted): Condition, block: &Self) {
        self.push(LOAD_WORD, at);
        self.jump(EQUAL, wanted, 0, u8::try_from(block.instructions.len()).unwrap_or(0));
        self.instructions.extend_from_slice(&block.instructions);
    }

    /// Goes on only if all conditions of one of the alternatives hold; else ends with `verdict`.
    pub fn need_one_of(&mut self, alternatives: &[Vec<Condition>], verdict: u32) {
        let length = |alternative: &Vec<Condition>| alternative.len().saturating_mul(2).saturating_add(1);
        let mut behind: usize = alternatives.iter().map(length).sum();
        for alternative in alternatives {
            behind = behind.saturating_sub(length(alternative));
            self.unless_all_then_pass_over(alternative, 1);
            // Over the other alternatives and the end behind them.
            self.push(JUMP, u32::try_from(behind.saturating_add(1)).unwrap_or(u32::MAX));
        }
        self.end(verdict);
    }

    fn unless_all_then_pass_over(&mut self, conditions: &[Condition], instructions: usize) {
        for (index, (at, wanted)) in conditions.iter().enumerate() {
            let left = conditions.len().saturating_sub(index).saturating_sub(1);
            let over = left.saturating_mul(2).saturating_add(instructions);
            self.push(LOAD_WORD, *at);
            self.jump(EQUAL, *wanted, 0, u8::try_from(over).unwrap_or(u8::MAX));
        }
    }

    fn push(&mut self, code: u16, operand: u32) {
        self.instructions.push(Instruction { code, holds: 0, fails: 0, operand });
    }

    fn jump(&mut self, code: u16, operand: u32, holds: u8, fails: u8) {
        self.instructions.push(Instruction { code, holds, fails, operand });
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What the kernel would return: `word` gives a word of the input, or nothing beyond it.
    pub(crate) fn run(program: &Program, length: u32, word: impl Fn(u32) -> Option<u32>) -> u32 {
        let code = program.instructions();
        assert!(code.len() <= MAX_INSTRUCTIONS, "{}", code.len());
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let Instruction { code, holds, fails, operand } = code[at];
            at += 1;
            let branch = |held: bool| usize::from(if held { holds } else { fails });
            match code {
                LOAD_WORD => match word(operand) {
                    Some(value) => accumulator = value,
                    None => return 0,
                },
                LOAD_LENGTH => accumulator = length,
                AND => accumulator &= operand,
                JUMP => at += operand as usize,
                EQUAL => at += branch(accumulator == operand),
                GREATER => at += branch(accumulator > operand),
                AT_LEAST => at += branch(accumulator >= operand),
                RETURN => return operand,
                other => panic!("no such instruction: {other:#x}"),
            }
        }
    }

    fn on(words: &[u32]) -> impl Fn(u32) -> Option<u32> + '_ {
        move |at| words.get(usize::try_from(at / 4).unwrap()).copied()
    }

    #[test]
    fn one_alternative_is_enough_and_all_of_its_conditions_are_needed() {
        let mut program = Program::default();
        program.need_one_of(&[vec![(0, 1), (4, 2)], vec![(0, 3)], vec![(0, 1), (4, 5), (8, 6)]], 7);
        program.end(9);
        for (words, verdict) in [
            (&[1_u32, 2, 0][..], 9),
            (&[3, 0, 0], 9),
            (&[1, 5, 6], 9),
            (&[1, 5, 7], 7),
            (&[1, 3, 6], 7),
            (&[2, 2, 2], 7),
            (&[1], 0),
        ] {
            assert_eq!(run(&program, 12, on(words)), verdict, "{words:?}");
        }
        let mut block = Program::default();
        block.end_if_no_bit(4, 2, 1);
        block.need_one_of(&[vec![(8, 5)], vec![(8, 6)]], 2);
        let mut guarded = Program::default();
        guarded.when((0, 9), &block);
        guarded.end(3);
        for (words, verdict) in [(&[8_u32, 0, 0][..], 3), (&[9, 1, 5], 1), (&[9, 2, 4], 2), (&[9, 2, 6], 3)] {
            assert_eq!(run(&guarded, 12, on(words)), verdict, "{words:?}");
        }
        let mut none = Program::default();
        none.need_one_of(&[], 7);
        assert_eq!(run(&none, 0, on(&[])), 7);
    }

    #[test]
    fn conditions_bits_sizes_and_lengths_end_a_program() {
        let mut program = Program::default();
        program.end_if_longer(100, 1);
        program.end_if_all(&[(0, 8), (4, 9)], 2);
        program.end_if_any_bit(0, 0x10, 3);
        program.end_if_no_bit(4, 0xff, 4);
        program.end_if_at_least(0, 0x4000_0000, 5);
        program.end(6);
        for (length, words, verdict) in [
            (101, &[0_u32, 1][..], 1),
            (100, &[8, 9], 2),
            (100, &[8, 1], 6),
            (8, &[0x31, 1], 3),
            (8, &[1, 0x100], 4),
            (8, &[0x4000_0000, 1], 5),
            (8, &[0x3fff_ff00, 1], 6),
        ] {
            assert_eq!(run(&program, length, on(words)), verdict, "{words:x?}");
        }
    }
}
