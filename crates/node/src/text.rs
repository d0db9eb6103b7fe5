//! Small helpers on text.

use onecopy_keyspace::glob::matches;

/// Whether `text` matches a pattern as those of `KEYS` are, without regard to case. Takes no more time than
/// the product of both lengths.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

/// Compares secrets in a time that does not tell where they differ.
pub(crate) fn same_secret(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = expected.len() ^ given.len();
    for (position, byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ expected.get(position).copied().unwrap_or(0));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match() {
        assert!(glob(b"*", b"save") && glob(b"SA?e", b"save") && glob(b"max*", b"maxmemory"));
        assert!(!glob(b"sav", b"save") && !glob(b"", b"save"));
    }

    /// Each star once doubled the time.
    #[test]
    fn many_stars_cost_nothing() {
        assert!(!glob(&[b"*a".repeat(200).as_slice(), b"b"].concat(), &b"a".repeat(200)));
    }

    #[test]
    fn secrets_are_the_same_only_if_they_are() {
        assert!(same_secret(b"secret", b"secret"));
        assert!(!same_secret(b"secret", b"secre") && !same_secret(b"secret", b"secrets"));
        assert!(!same_secret(b"secret", b""));
    }
}
