//! A machine for classic BPF as the kernel is one (`net/core/filter.c`): what a program says of a packet.

use capture::filter::Instruction;

/// A frame as a packet socket sees it, with the tag that the kernel keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tag: Option<u16>,
}

/// How many bytes of the packet the program wants; 0 for none of it, also where it looks beyond the end.
/// Panics where the kernel would refuse the program.
pub(crate) fn run(program: &[Instruction], packet: &Seen) -> u32 {
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    let mut memory = [0_u32; 16];
    let bytes = |at: u32, size: u32| -> Option<u32> {
        let from = usize::try_from(at).ok()?;
        let slice = packet.bytes.get(from..from.checked_add(usize::try_from(size).ok()?)?)?;
        Some(slice.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    };
    let load = |at: u32, size: u32| match at {
        0xffff_f02c => Some(packet.tag.map_or(0, u32::from)),
        0xffff_f030 => Some(u32::from(packet.tag.is_some())),
        at if at >= 0xffff_f000 => panic!("the machine knows nothing at {at:#x}"),
        at => bytes(at, size),
    };
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let mut jump = |holds: bool| at += usize::from(if holds { jt } else { jf });
        let loaded = match code {
            0x20 => load(k, 4),
            0x28 => load(k, 2),
            0x30 => load(k, 1),
            0x40 => bytes(x.wrapping_add(k), 4),
            0x48 => bytes(x.wrapping_add(k), 2),
            0x50 => bytes(x.wrapping_add(k), 1),
            _ => Some(a),
        };
        let Some(loaded) = loaded else { return 0 };
        a = loaded;
        match code {
            0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 => {}
            0x00 => a = k,
            0x01 => x = k,
            0x60 => a = memory[k as usize],
            0x61 => x = memory[k as usize],
            0x02 => memory[k as usize] = a,
            0x03 => memory[k as usize] = x,
            0x07 => x = a,
            0x87 => a = x,
            0x04 => a = a.wrapping_add(k),
            0x0c => a = a.wrapping_add(x),
            0x14 => a = a.wrapping_sub(k),
            0x54 => a &= k,
            0x5c => a &= x,
            0x44 => a |= k,
            0x64 => a = a.checked_shl(k).unwrap_or(0),
            0x74 => a = a.checked_shr(k).unwrap_or(0),
            0xb1 => match bytes(k, 1) {
                Some(byte) => x = (byte & 0xf) * 4,
                None => return 0,
            },
            0x05 => at += k as usize,
            0x15 => jump(a == k),
            0x25 => jump(a > k),
            0x35 => jump(a >= k),
            0x45 => jump(a & k != 0),
            0x1d => jump(a == x),
            0x06 => return k,
            0x16 => return a,
            code => panic!("the machine does not know instruction {code:#x}"),
        }
    }
}
