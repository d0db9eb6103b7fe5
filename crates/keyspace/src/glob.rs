//! Patterns of `KEYS`, `SCAN` and `CONFIG GET`: `*`, `?`, `[abc]`, `[^a-z]`, and `\` before a character that
//! means itself.
//!
//! A star that does not work out is tried again one byte further on, and only the last star is: the time is
//! bounded by the product of both lengths, whatever the pattern. Who cannot afford so much counts the steps
//! ([`matches_within`]).

/// Whether `text` matches `pattern` as a whole.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_within(pattern, text, |_| true).unwrap_or(false)
}

/// The same. `pay` hears of each few steps before they are taken, and says whether that may be; `None` if
/// not. A step is a byte that is compared, in the pattern or in the text.
pub fn matches_within(pattern: &[u8], text: &[u8], mut pay: impl FnMut(usize) -> bool) -> Option<bool> {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the last star must take one byte more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let mut steps = 1;
        let matched = match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                p += 1;
                if p == pattern.len() {
                    return Some(true);
                }
                retry = Some((p, t));
                true
            }
            (None, None) => return Some(true),
            (Some(_), Some(byte)) => {
                let (length, is_match) = matches_one(&pattern[p..], *byte);
                steps = length;
                (p, t) = (p + length, t + 1);
                is_match
            }
            // With no text left, a longer star does not help.
            (Some(_), None) => return Some(false),
            (None, Some(_)) => false,
        };
        if !pay(steps) {
            return None;
        }
        match retry {
            _ if matched => {}
            Some((after_star, from)) if from < text.len() => {
                (p, t) = (after_star, from + 1);
                retry = Some((p, t));
            }
            _ => return Some(false),
        }
    }
}

/// How many bytes of the pattern stand for one byte, and whether `byte` is one that they mean.
fn matches_one(pattern: &[u8], byte: u8) -> (usize, bool) {
    match pattern {
        [b'?', ..] => (1, true),
        [b'[', rest @ ..] => {
            let (length, is_match) = matches_class(rest, byte);
            (length + 1, is_match)
        }
        [b'\\', escaped, ..] => (2, *escaped == byte),
        [literal, ..] => (1, *literal == byte),
        [] => (0, false),
    }
}

/// The same for what follows a `[`. A class that is never closed ends with the pattern, as in Redis.
fn matches_class(pattern: &[u8], byte: u8) -> (usize, bool) {
    let negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match &pattern[at.min(pattern.len())..] {
            [] => break,
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [low, b'-', high, ..] => {
                found |= (*low.min(high)..=*low.max(high)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= *literal == byte;
                at += 1;
            }
        }
    }
    (at, found != negated)
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_within};

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("a\\*c", "a*c", true),
            ("a\\*c", "abc", false),
            ("[\\]]", "]", true),
            ("[a", "a", true),
            ("*[a", "xa", true),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
            ("a\\", "a\\", true),
            ("*b", "ab", true),
            ("*b", "abc", false),
            ("**", "abc", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_star_at_the_end_looks_at_nothing_more() {
        let mut steps = 0;
        let pay = |more| {
            steps += more;
            true
        };
        assert_eq!(matches_within(b"a*", b"a very long name", pay), Some(true));
        assert_eq!(steps, 1);
    }

    /// One key of 150 KB and one pattern once held up a primary, and then its heir.
    #[test]
    fn a_hostile_pattern_takes_no_more_steps_than_the_product_of_the_lengths() {
        for pattern in [
            b"*a".repeat(500),
            b"*".repeat(1_000),
            b"*[^b]".repeat(200),
            [b"*".as_slice(), &b"a".repeat(999)].concat(),
        ] {
            let pattern = [pattern.as_slice(), b"b"].concat();
            let text = vec![b'a'; 5_000];
            let steps = (pattern.len() + 1) * (text.len() + 1);
            let within = |mut left: usize| {
                matches_within(&pattern, &text, |steps| {
                    left = left.saturating_sub(steps);
                    left > 0
                })
            };
            assert_eq!(within(steps), Some(false));
            assert_eq!(within(1_000), None, "what cannot be afforded is not paid");
        }
    }
}
