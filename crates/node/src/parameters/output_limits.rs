//! `client-output-buffer-limit`: how many bytes of replies a client may leave unread.

use std::fmt;
use std::time::Duration;

use super::shape::memory;

/// The limits of one class of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputLimit {
    /// Whoever has more is disconnected at once; 0: there is no such limit.
    pub(crate) hard_bytes: u64,
    /// Whoever has more for longer than `soft_time` is disconnected; 0: there is no such limit.
    pub(crate) soft_bytes: u64,
    pub(crate) soft_time: Duration,
}

/// The limits of all classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputLimits {
    pub(crate) normal: OutputLimit,
    /// Nobody is one here: other nodes do not come as clients.
    replica: OutputLimit,
    /// Of clients that have subscribed to something.
    pub(crate) pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        let limit = |hard_bytes, soft_bytes| OutputLimit {
            hard_bytes,
            soft_bytes,
            soft_time: Duration::from_secs(60),
        };
        Self {
            normal: OutputLimit::default(),
            replica: limit(256 << 20, 64 << 20),
            pubsub: limit(32 << 20, 8 << 20),
        }
    }
}

impl OutputLimits {
    /// What [`OutputLimits`] are displayed as.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut limits = Self::default();
        limits.change(text).ok().map(|()| limits)
    }

    /// Changes the classes that are named, each followed by its three numbers. All of them, or none.
    pub(super) fn change(&mut self, text: &str) -> Result<(), String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if words.is_empty() || !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
        }
        let mut changed = *self;
        for words in words.chunks(4) {
            let class = match words[0].to_ascii_lowercase().as_str() {
                "normal" => &mut changed.normal,
                "slave" | "replica" => &mut changed.replica,
                "pubsub" => &mut changed.pubsub,
                _ => return Err("Invalid client class specified in buffer limit configuration.".to_owned()),
            };
            let numbers = (memory(words[1]), memory(words[2]), words[3].parse::<u32>().ok());
            let (Some(hard_bytes), Some(soft_bytes), Some(seconds)) = numbers else {
                return Err(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration.".to_owned()
                );
            };
            *class = OutputLimit { hard_bytes, soft_bytes, soft_time: Duration::from_secs(seconds.into()) };
        }
        *self = changed;
        Ok(())
    }
}

impl fmt::Display for OutputLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = [("normal", self.normal), ("slave", self.replica), ("pubsub", self.pubsub)];
        let text = classes.map(|(name, limit)| {
            format!("{name} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_time.as_secs())
        });
        f.write_str(&text.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_are_not_named_keep_their_limits() {
        let mut limits = OutputLimits::default();
        assert_eq!(limits.change("normal 1mb 2mb 60 PUBSUB 1 2 3"), Ok(()));
        assert_eq!(limits.to_string(), "normal 1048576 2097152 60 slave 268435456 67108864 60 pubsub 1 2 3");
        assert_eq!(OutputLimits::read(&limits.to_string()), Some(limits));
        for nonsense in ["", "normal 1 2", "other 1 2 3", "normal 1 2 3 pubsub x 2 3"] {
            let before = limits;
            assert!(limits.change(nonsense).is_err(), "{nonsense}");
            assert_eq!(limits, before);
        }
    }
}
