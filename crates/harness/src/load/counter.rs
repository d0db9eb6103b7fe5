//! A counter that one client increments.

/// What one client knows of its counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counter {
    /// The last answer.
    last: u64,
    /// Increments since then of which nobody knows whether they counted.
    unknown: u64,
    /// Acknowledged increments that do not count any more.
    pub(super) lost: u64,
    /// Increments that counted more often than they were sent.
    pub(super) doubled: u64,
}

impl Counter {
    /// An increment was answered.
    pub(super) fn answered(&mut self, value: u64) {
        self.compare(value, self.last + 1);
        (self.last, self.unknown) = (value, 0);
    }

    /// Nobody knows whether an increment counted.
    pub(super) fn nobody_knows(&mut self) {
        self.unknown += 1;
    }

    /// The counter was read when nothing was under way.
    pub(super) fn read(mut self, value: u64) -> Self {
        self.compare(value, self.last);
        self
    }

    fn compare(&mut self, value: u64, least: u64) {
        self.lost += least.saturating_sub(value);
        self.doubled += value.saturating_sub(least + self.unknown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_or_doubled_is_counted() {
        let mut counter = Counter::default();
        counter.answered(1);
        counter.answered(2);
        assert_eq!(counter.read(2), counter);
        assert_eq!((counter.read(1).lost, counter.read(3).doubled), (1, 1));
        counter.nobody_knows();
        assert_eq!((counter.read(2), counter.read(3)), (counter, counter));
        assert_eq!(counter.read(4).doubled, 1);
        counter.answered(4);
        assert_eq!((counter.lost, counter.doubled), (0, 0));
        counter.answered(6);
        counter.answered(5);
        assert_eq!((counter.lost, counter.doubled), (2, 1));
    }
}
