//! What Redis would keep a list in.

use super::List;
use crate::number::parse_integer;

/// A listpack whose size is said as -1 has twice as many bytes, and so on.
const LISTPACK_BYTES_MIN: u64 = 2 * 1024;
/// One whose size is said in elements has no more bytes than that.
const BYTES_OF_ELEMENTS: u64 = 8 * 1024;

/// How many bytes an element takes in a listpack of Redis.
fn listpack_entry(element: &[u8]) -> u64 {
    let length = element.len() as u64;
    let content = match parse_integer(element) {
        Some(0..=127) => 1,
        Some(-4096..=4095) => 2,
        Some(-0x8000..=0x7fff) => 3,
        Some(-0x80_0000..=0x7f_ffff) => 4,
        Some(-0x8000_0000..=0x7fff_ffff) => 5,
        Some(_) => 9,
        None if length < 64 => 1 + length,
        None if length < 4096 => 2 + length,
        None => 5 + length,
    };
    // Its length stands behind it, in groups of seven bits.
    content + if content < 128 { 1 } else { 2 + u64::from(content >= 16_383) }
}

impl List {
    /// What Redis keeps a list in that grows beyond a listpack of this size: so many elements, or, if it is
    /// negative, so many bytes.
    pub(crate) fn encoding(&self, size: i32) -> &'static str {
        /// What a listpack has before its entries and behind them.
        const FRAME: u64 = 7;
        let bytes_max = if size < 0 { LISTPACK_BYTES_MIN << (-size).clamp(1, 5) } else { BYTES_OF_ELEMENTS };
        let count_max = if size < 0 { usize::MAX } else { size.unsigned_abs().max(1) as usize };
        // An entry has two bytes at least, and a number half as many as digits.
        let least = FRAME + (self.len() as u64 * 2).max(self.bytes() / 2);
        let is_short = self.len() <= count_max
            && least <= bytes_max
            && FRAME + self.iter().map(listpack_entry).sum::<u64>() <= bytes_max;
        if is_short { "listpack" } else { "quicklist" }
    }
}
