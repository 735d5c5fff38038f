//! Instructions of BPF as the kernel takes them (Documentation/bpf/standardization/instruction-set.rst), with jumps
//! to places that are told later.

/// A register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    /// What a helper returns.
    R0 = 0,
    /// A helper's first argument; at the start, what the program is given.
    R1 = 1,
    /// Its second.
    R2 = 2,
    /// Its third.
    R3 = 3,
    /// Its fourth.
    R4 = 4,
    /// Its fifth.
    R5 = 5,
    /// Kept over calls, as those that follow.
    R6 = 6,
    R7 = 7,
    R8 = 8,
    R9 = 9,
    /// The end of the stack.
    Frame = 10,
}

/// Width of a load or store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    One = 0x10,
    Two = 0x08,
    Four = 0x00,
    Eight = 0x18,
}

/// What a jump asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Equal = 0x15,
    Not = 0x55,
}

/// What the kernel does for programs (`enum bpf_func_id`, linux/bpf.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    MapLookup = 1,
    MapPush = 87,
    ProbeReadKernel = 113,
    Snprintf = 165,
}

/// A place in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program that is being written.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    words: Vec<u64>,
    /// Where each label is, as far as that is known.
    places: Vec<Option<usize>>,
    /// Which word jumps to which.
    jumps: Vec<(usize, Label)>,
}

const MOVE: u8 = 0xbf;
const MOVE_NUMBER: u8 = 0xb7;
const ADD: u8 = 0x0f;
const ADD_NUMBER: u8 = 0x07;
const AND_NUMBER: u8 = 0x57;
const LEFT: u8 = 0x67;
const RIGHT: u8 = 0x77;
const TO_BIG_ENDIAN: u8 = 0xdc;
const LOAD: u8 = 0x61;
const STORE: u8 = 0x63;
const STORE_NUMBER: u8 = 0x62;
const JUMP: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const LOAD_64: u8 = 0x18;
/// Of a 64-bit constant, what it is: a map, or the first value of one.
const PSEUDO_MAP: u8 = 1;
const PSEUDO_MAP_VALUE: u8 = 2;

impl Assembly {
    fn put(&mut self, operation: u8, to: Register, from: u8, offset: i16, number: i32) {
        let registers = to as u8 | from << 4;
        let low = u64::from(operation) | u64::from(registers) << 8;
        let high = u64::from(offset.cast_unsigned()) << 16 | u64::from(number.cast_unsigned()) << 32;
        self.words.push(low | high);
    }

    pub(super) fn copy(&mut self, to: Register, from: Register) {
        self.put(MOVE, to, from as u8, 0, 0);
    }

    pub(super) fn set(&mut self, to: Register, number: i32) {
        self.put(MOVE_NUMBER, to, 0, 0, number);
    }

    pub(super) fn add(&mut self, to: Register, from: Register) {
        self.put(ADD, to, from as u8, 0, 0);
    }

    pub(super) fn add_number(&mut self, to: Register, number: i32) {
        self.put(ADD_NUMBER, to, 0, 0, number);
    }

    pub(super) fn and(&mut self, to: Register, mask: i32) {
        self.put(AND_NUMBER, to, 0, 0, mask);
    }

    pub(super) fn shift_left(&mut self, to: Register, bits: i32) {
        self.put(LEFT, to, 0, 0, bits);
    }

    pub(super) fn shift_right(&mut self, to: Register, bits: i32) {
        self.put(RIGHT, to, 0, 0, bits);
    }

    /// Turns what was loaded from a packet into a number; `bits` are 16 or 32.
    pub(super) fn swap_to_number(&mut self, of: Register, bits: i32) {
        self.put(TO_BIG_ENDIAN, of, 0, 0, bits);
    }

    pub(super) fn load(&mut self, width: Width, to: Register, from: Register, offset: i16) {
        self.put(LOAD | width as u8, to, from as u8, offset, 0);
    }

    pub(super) fn store(&mut self, width: Width, from: Register, to: Register, offset: i16) {
        self.put(STORE | width as u8, to, from as u8, offset, 0);
    }

    /// Sets eight bytes of the stack to zero.
    pub(super) fn clear(&mut self, offset: i16) {
        self.put(STORE_NUMBER | Width::Eight as u8, Register::Frame, 0, offset, 0);
    }

    pub(super) fn call(&mut self, helper: Helper) {
        self.put(CALL, Register::R0, 0, 0, helper as i32);
    }

    pub(super) fn exit(&mut self) {
        self.put(EXIT, Register::R0, 0, 0, 0);
    }

    /// A map, by its descriptor.
    pub(super) fn map(&mut self, to: Register, descriptor: i32) {
        self.put(LOAD_64, to, PSEUDO_MAP, 0, descriptor);
        self.words.push(0);
    }

    /// The address of a map's first value.
    pub(super) fn map_value(&mut self, to: Register, descriptor: i32) {
        self.put(LOAD_64, to, PSEUDO_MAP_VALUE, 0, descriptor);
        self.words.push(0);
    }

    /// The address of a place on the stack.
    pub(super) fn stack(&mut self, to: Register, offset: i16) {
        self.copy(to, Register::Frame);
        self.add_number(to, offset.into());
    }

    /// A place that is told later.
    pub(super) fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// It is here.
    pub(super) fn here(&mut self, label: Label) {
        let here = self.words.len();
        self.places.get_mut(label.0).into_iter().for_each(|place| *place = Some(here));
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.words.len(), to));
        self.put(JUMP, Register::R0, 0, 0, 0);
    }

    pub(super) fn jump_if(&mut self, register: Register, is: Is, number: i32, to: Label) {
        self.jumps.push((self.words.len(), to));
        self.put(is as u8, register, 0, 0, number);
    }

    /// The program. A jump to a place that was never told leaves it, and the kernel refuses such a program.
    pub(super) fn finish(mut self) -> Vec<u64> {
        for (from, label) in self.jumps {
            let place = self.places.get(label.0).copied().flatten();
            let distance = place.and_then(|place| place.checked_sub(from + 1));
            let distance = distance.and_then(|words| i16::try_from(words).ok()).unwrap_or(i16::MAX);
            if let Some(word) = self.words.get_mut(from) {
                *word |= u64::from(distance.cast_unsigned()) << 16;
            }
        }
        self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_counted_from_the_instruction_behind_them() {
        let mut program = Assembly::default();
        let end = program.label();
        program.set(Register::R0, 7);
        program.jump_if(Register::R0, Is::Equal, 7, end);
        program.add_number(Register::R0, -1);
        program.here(end);
        program.exit();
        let words = [0x0000_0007_0000_00b7, 0x0000_0007_0001_0015, 0xffff_ffff_0000_0007, 0x95];
        assert_eq!(program.finish(), words);
    }

    #[test]
    fn a_program_with_a_jump_to_nowhere_is_refused() {
        let mut program = Assembly::default();
        let nowhere = program.label();
        program.set(Register::R0, 0);
        program.jump_if(Register::R0, Is::Not, 1, nowhere);
        program.exit();
        assert!(sys::ebpf::load(sys::ebpf::Kind::RawTracepoint, &program.finish()).is_err());
    }
}
