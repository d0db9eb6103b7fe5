//! Which arguments of a command are keys.

use super::Spec;
use crate::number::parse_integer;

/// The positions of the keys among the arguments, in order; empty if there are none, or if the arguments make
/// no sense.
#[must_use]
pub fn key_positions(spec: &Spec, args: &[&[u8]]) -> Vec<usize> {
    let mut positions = Vec::new();
    let argc = i32::try_from(args.len()).unwrap_or(i32::MAX);
    if spec.first_key > 0 && spec.key_step > 0 {
        let last = if spec.last_key < 0 { argc.saturating_add(spec.last_key) } else { spec.last_key };
        let mut position = spec.first_key;
        while position <= last && position < argc {
            positions.extend(usize::try_from(position));
            position = position.saturating_add(spec.key_step);
        }
    }
    if spec.key_count_at > 0 {
        let count = args.get(spec.key_count_at).and_then(|count| parse_integer(count));
        let first = spec.key_count_at + 1;
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        if count > args.len().saturating_sub(first) {
            return Vec::new();
        }
        positions.extend(first..first + count);
    }
    positions
}
