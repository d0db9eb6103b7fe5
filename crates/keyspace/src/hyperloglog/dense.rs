//! The dense form of the registers: six bits each, the lowest bits of a byte first.

use super::REGISTERS;

const BITS: usize = 6;
const MASK: u16 = (1 << BITS) - 1;
/// How many bytes all registers have.
pub(super) const BYTES: usize = REGISTERS * BITS / 8;

/// Where a register begins, and the two bytes that have it. The last register does not reach the second.
fn window(registers: &[u8], register: usize) -> (usize, usize, u16) {
    let (at, shift) = (register * BITS / 8, register * BITS % 8);
    let second = registers.get(at + 1).copied().unwrap_or(0);
    (at, shift, u16::from_le_bytes([registers[at], second]))
}

pub(super) fn get(registers: &[u8], register: usize) -> u8 {
    let (_, shift, window) = window(registers, register);
    (window >> shift & MASK) as u8
}

pub(super) fn set(registers: &mut [u8], register: usize, value: u8) {
    let (at, shift, window) = window(registers, register);
    let window = window & !(MASK << shift) | (u16::from(value) & MASK) << shift;
    for (byte, new) in registers[at..].iter_mut().zip(window.to_le_bytes()) {
        *byte = new;
    }
}

/// Raises a register to a value, if it is lower; whether it was.
pub(super) fn raise(registers: &mut [u8], register: usize, value: u8) -> bool {
    let is_lower = get(registers, register) < value;
    if is_lower {
        set(registers, register, value);
    }
    is_lower
}

/// Calls `each` with every register in order.
pub(super) fn each_run(registers: &[u8], mut each: impl FnMut(u8, usize)) {
    // Four registers have three bytes.
    for [first, second, third] in registers.as_chunks::<3>().0 {
        let four = u32::from_le_bytes([*first, *second, *third, 0]);
        for nth in 0..4 {
            each((four >> (nth * BITS)) as u8 & MASK as u8, 1);
        }
    }
}
