//! What the values of parameters look like, and how they are read and kept.

use super::output_limits::OutputLimits;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `yes` or `no`.
    Flag,
    /// Within bounds.
    Integer(i64, i64),
    /// So many bytes at least, perhaps with a unit. They are kept without one.
    Memory(u64),
    /// The same, or a part of a whole.
    MemoryOrPercent,
    /// One of these.
    Word(&'static [&'static str]),
    /// So many numbers.
    Numbers(usize),
    /// Pairs of seconds and changes.
    SavePoints,
    /// See [`OutputLimits`].
    OutputLimits,
    /// Numbers from 0 to 100.
    Percentiles,
    /// The letters of classes of events.
    EventClasses,
    /// Anything.
    Text,
}

impl Shape {
    /// A value as it is kept; `before` is what it was.
    ///
    /// # Errors
    /// What is wrong with it, in the words of Redis.
    pub(crate) fn read(self, text: &str, before: &str) -> Result<String, String> {
        match self {
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "yes" => Ok("yes".to_owned()),
                "no" => Ok("no".to_owned()),
                _ => Err("argument must be 'yes' or 'no'".to_owned()),
            },
            Self::Integer(min, max) => {
                let number = integer(text).ok_or("argument couldn't be parsed into an integer")?;
                within(number, min, max).map(|()| number.to_string())
            }
            Self::Memory(min) => {
                let bytes = memory(text).ok_or("argument must be a memory value")?;
                let bytes = i64::try_from(bytes)
                    .ok()
                    .filter(|bytes| *bytes as u64 >= min)
                    .ok_or_else(|| format!("argument must be between {min} and {} inclusive", i64::MAX))?;
                Ok(bytes.to_string())
            }
            Self::MemoryOrPercent => {
                let percent =
                    text.strip_suffix('%').and_then(integer).filter(|part| (0..=100).contains(part));
                let bytes = memory(text).map(|bytes| bytes.to_string());
                let kept = percent.map(|part| format!("{part}%")).or(bytes);
                kept.ok_or_else(|| "argument must be a memory or percent value".to_owned())
            }
            Self::Word(words) => {
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
                word.map(|word| (*word).to_owned())
                    .ok_or_else(|| format!("argument(s) must be one of the following: {}", words.join(", ")))
            }
            Self::Numbers(count) => {
                let numbers: Option<Vec<i64>> = text.split(' ').map(integer).collect();
                match numbers.filter(|numbers| numbers.len() == count) {
                    Some(_) => Ok(text.to_owned()),
                    None => Err("wrong number of arguments".to_owned()),
                }
            }
            Self::SavePoints => save_points(text).ok_or_else(|| "Invalid save parameters".to_owned()),
            Self::OutputLimits => {
                let mut limits = OutputLimits::read(before).unwrap_or_default();
                limits.change(text)?;
                Ok(limits.to_string())
            }
            Self::Percentiles => percentiles(text).map(|_| text.to_owned()),
            Self::EventClasses => event_classes(text),
            Self::Text => Ok(text.to_owned()),
        }
    }
}

/// A number as Redis reads one: nothing but digits, perhaps with a sign.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.starts_with(|first: char| first.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn within(number: i64, min: i64, max: i64) -> Result<(), String> {
    match (min..=max).contains(&number) {
        true => Ok(()),
        false => Err(format!("argument must be between {min} and {max} inclusive")),
    }
}

/// Bytes, perhaps with a unit: `1k` is 1000 of them, and `1kb` 1024. What is too large is the largest number.
pub(crate) fn memory(text: &str) -> Option<u64> {
    let units: [(&str, u64); 8] = [
        ("kb", 1 << 10),
        ("mb", 1 << 20),
        ("gb", 1 << 30),
        ("b", 1),
        ("k", 1_000),
        ("m", 1_000_000),
        ("g", 1_000_000_000),
        ("", 1),
    ];
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = units.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, unit)))?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(*unit))
}

fn save_points(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if !words.len().is_multiple_of(2) {
        return None;
    }
    for pair in words.chunks(2) {
        let (seconds, changes) = (integer(pair[0])?, integer(pair[1])?);
        if seconds < 1 || changes < 0 {
            return None;
        }
    }
    Some(words.join(" "))
}

/// The percentiles that `INFO latencystats` shows.
pub(super) fn percentiles(text: &str) -> Result<Vec<f64>, String> {
    let name = "latency-tracking-info-percentiles";
    let read = |word: &str| match word.parse::<f64>() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        Ok(number) if !number.is_nan() => Err(format!("{name} parameters should sit between [0.0,100.0]")),
        _ => Err(format!("Invalid {name} parameters")),
    };
    text.split_ascii_whitespace().map(read).collect()
}

/// The classes that `A` stands for.
const ALL_CLASSES: &str = "g$lshzxetd";
/// All letters, in the order in which Redis writes them.
const CLASSES: &str = "g$lshzxetdKEmn";

/// The letters of classes of events, as Redis writes them: `A` for all that it stands for.
fn event_classes(text: &str) -> Result<String, String> {
    if text.chars().any(|class| class != 'A' && !CLASSES.contains(class)) {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned());
    }
    let has = |class: char| text.contains(class) || text.contains('A') && ALL_CLASSES.contains(class);
    let all = ALL_CLASSES.chars().all(has);
    let classes: String =
        if all { "A".to_owned() } else { ALL_CLASSES.chars().filter(|class| has(*class)).collect() };
    // `n` is none of the classes of types: Redis writes it before the others if not all of those are named.
    let rest = CLASSES.chars().skip(ALL_CLASSES.len()).filter(|class| has(*class));
    Ok(classes.chars().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        let cases = [("0", Some(0)), ("1k", Some(1_000)), ("1KB", Some(1_024)), ("100mb", Some(100 << 20))];
        for (text, bytes) in cases.into_iter().chain([("2g", Some(2_000_000_000)), ("7b", Some(7))]) {
            assert_eq!(memory(text), bytes, "{text}");
        }
        assert_eq!(memory("99999999999gb"), Some(u64::MAX));
        for nonsense in ["", "kb", " 1", "1 ", "-1", "1.5mb", "1tb", "x"] {
            assert_eq!(memory(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn values_are_kept_in_one_form() {
        let kept = |shape: Shape, text: &str| shape.read(text, "").expect("it is one");
        assert_eq!(kept(Shape::Flag, "YES"), "yes");
        assert_eq!(kept(Shape::Memory(0), "1mb"), "1048576");
        assert_eq!(kept(Shape::MemoryOrPercent, "5%"), "5%");
        assert_eq!(kept(Shape::SavePoints, "900  1 60 5"), "900 1 60 5");
        assert_eq!(kept(Shape::EventClasses, "KEA"), "AKE");
        assert_eq!(kept(Shape::EventClasses, "KEgx"), "gxKE");
        assert_eq!(kept(Shape::Word(&["no", "always"]), "Always"), "always");
    }

    #[test]
    fn nonsense_is_refused_in_redis_words() {
        let error = |shape: Shape, text: &str| shape.read(text, "").expect_err("it is none");
        assert_eq!(error(Shape::Flag, "1"), "argument must be 'yes' or 'no'");
        assert_eq!(error(Shape::Integer(1, 5), "6"), "argument must be between 1 and 5 inclusive");
        assert_eq!(error(Shape::Integer(1, 5), "+3"), "argument couldn't be parsed into an integer");
        assert_eq!(
            error(Shape::Memory(1_024), "1k"),
            format!("argument must be between 1024 and {} inclusive", i64::MAX)
        );
        assert_eq!(error(Shape::Word(&["a", "b"]), "c"), "argument(s) must be one of the following: a, b");
        assert_eq!(error(Shape::SavePoints, "900"), "Invalid save parameters");
        assert!(error(Shape::Percentiles, "101").contains("between [0.0,100.0]"));
    }
}
