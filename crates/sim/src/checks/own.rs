//! The answers of somebody's own machine, held against their specification. Where an operation stands in the
//! history says the log, as in [`super::linearizable`], which asks here what a single copy would answer
//! there.

use std::collections::BTreeMap;

use bytes::Bytes;
use onecopy_core::Timestamp;

use crate::client::OpId;
use crate::subject::Model;
use crate::trace::violated;

/// What was asked of somebody's own machine, and what a single copy made of it.
#[derive(Debug)]
pub struct Own {
    /// What was asked for, by the number of the operation.
    commands: Vec<Bytes>,
    /// The states of the single copy, from which index on. Empty without a specification.
    versions: Vec<(u64, Box<dyn Model>)>,
    /// What it answered to writes.
    answers: BTreeMap<OpId, Vec<u8>>,
}

impl Own {
    /// Nothing has happened.
    #[must_use]
    pub fn new(specification: Option<Box<dyn Model>>) -> Self {
        let versions = specification.into_iter().map(|model| (0, model)).collect();
        Self { commands: Vec::new(), versions, answers: BTreeMap::new() }
    }

    /// A client asks for something: the next operation.
    pub fn asked(&mut self, command: Bytes) {
        self.commands.push(command);
    }

    /// A write was executed at an index, in an entry of this time.
    pub fn executed(&mut self, id: OpId, index: u64, time: Timestamp) {
        let Some((_, last)) = self.versions.last() else { return };
        let mut model = last.copy();
        self.answers.insert(id, model.execute(time, &self.commands[id]));
        self.versions.push((index, model));
    }

    /// Looks at an answer as of an index, whose time is given.
    pub fn check(&self, id: OpId, index: u64, time: Timestamp, got: &[u8]) {
        let after = self.versions.partition_point(|(at, _)| *at <= index);
        let Some((_, model)) = after.checked_sub(1).map(|last| &self.versions[last]) else { return };
        let command = &self.commands[id];
        let expected = match self.answers.get(&id) {
            Some(answer) => answer.clone(),
            None => model.copy().execute(time, command),
        };
        if got != expected {
            let show = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
            violated(
                "linearizable",
                format!(
                    "operation {id} ({}) as of {index} is answered {:?}, a single copy answers {:?}",
                    show(command),
                    show(got),
                    show(&expected)
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;
    use crate::subject::Specification;

    /// Answers how often it was told something.
    #[derive(Clone, Debug)]
    struct Count(u8);

    impl Specification for Count {
        fn execute(&mut self, _: Timestamp, command: &[u8]) -> Vec<u8> {
            self.0 += u8::from(command == b"tell");
            vec![self.0]
        }
    }

    #[test]
    fn an_answer_of_another_time_is_caught() {
        let mut own = Own::new(Some(Box::new(Count(0))));
        for command in ["tell", "ask", "tell"] {
            own.asked(Bytes::from_static(command.as_bytes()));
        }
        own.executed(0, 3, Timestamp(1));
        own.executed(2, 5, Timestamp(2));
        let look = |id, index, got| caught(|| own.check(id, index, Timestamp(2), &[got]));
        assert_eq!((look(0, 3, 1), look(2, 5, 2), look(1, 2, 0), look(1, 4, 1)), (None, None, None, None));
        assert_eq!(
            (look(0, 3, 2), look(1, 5, 1), look(1, 2, 1)),
            (Some("linearizable"), Some("linearizable"), Some("linearizable"))
        );
        let free = Own::new(None);
        assert_eq!(caught(|| free.check(0, 1, Timestamp(1), b"?")), None, "nobody said what is right");
    }
}
