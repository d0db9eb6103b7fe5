//! Small helpers on text.

/// Whether `text` matches a pattern of `*`, `?` and letters, without regard to case.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        (Some((b'?', pattern)), Some((_, text))) => glob(pattern, text),
        (Some((wanted, pattern)), Some((byte, text))) => {
            wanted.eq_ignore_ascii_case(byte) && glob(pattern, text)
        }
        _ => false,
    }
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

    #[test]
    fn secrets_are_the_same_only_if_they_are() {
        assert!(same_secret(b"secret", b"secret"));
        assert!(!same_secret(b"secret", b"secre") && !same_secret(b"secret", b"secrets"));
        assert!(!same_secret(b"secret", b""));
    }
}
