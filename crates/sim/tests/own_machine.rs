//! Machines of somebody's own: sound ones pass, and each way to be wrong is found by the check that is there
//! for it.

use std::sync::atomic::{AtomicU64, Ordering};

use onecopy_core::machine::RestoreError;
use onecopy_core::segments::answer_framed;
use onecopy_core::{ApplyContext, QueryContext, StateMachine, Timestamp};
use onecopy_sim::dice::Dice;
use onecopy_sim::message::Kind;
use onecopy_sim::subject::{Model, OwnMachine};
use onecopy_sim::{Request, Specification, Subject, check};

/// How a counter is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// It counts a hundred as two.
    Counts,
    /// It answers something that is another time in every machine.
    Leaks,
    /// Its images are as of nothing.
    Forgets,
    /// It counts how often it has been made.
    Differs,
}

static MADE: AtomicU64 = AtomicU64::new(0);

/// Adds up what it is told.
#[derive(Debug)]
struct Counter {
    count: u64,
    fault: Fault,
    number: u64,
    image: Vec<u8>,
}

impl StateMachine for Counter {
    fn advance(&mut self, _: &ApplyContext<'_>) {}

    fn apply(&mut self, _: &ApplyContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        answer_framed(body, response, |command, reply| {
            self.count += u64::from(command[0]);
            if self.fault == Fault::Counts && self.count == 100 {
                self.count += 1;
            }
            let leak = if self.fault == Fault::Leaks { self.number } else { 0 };
            reply.extend_from_slice(&(self.count + leak).to_le_bytes());
        });
    }

    fn query(&self, _: &QueryContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        answer_framed(body, response, |_, reply| reply.extend_from_slice(&self.count.to_le_bytes()));
    }

    fn due(&self) -> Option<Timestamp> {
        None
    }

    fn memory(&self) -> u64 {
        8
    }

    fn digest(&self) -> u64 {
        if self.fault == Fault::Differs { self.count ^ self.number } else { self.count }
    }

    fn snapshot_begin(&mut self) {
        let count = if self.fault == Fault::Forgets { 0 } else { self.count };
        self.image = count.to_le_bytes().to_vec();
    }

    fn snapshot_read(&mut self, bytes_max: usize, chunk: &mut Vec<u8>) -> bool {
        chunk.extend(self.image.drain(..self.image.len().min(bytes_max)));
        !self.image.is_empty()
    }

    fn snapshot_abandon(&mut self) {
        self.image.clear();
    }

    fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        self.image.extend_from_slice(chunk);
        Ok(())
    }

    fn restore_finish(&mut self) -> Result<(), RestoreError> {
        let bytes = self.image.as_slice().try_into();
        self.count =
            bytes.map(u64::from_le_bytes).map_err(|_| RestoreError { reason: "cut off".to_owned() })?;
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Sum(u64);

impl Specification for Sum {
    fn execute(&mut self, _: Timestamp, command: &[u8]) -> Vec<u8> {
        self.0 += u64::from(command[0]);
        self.0.to_le_bytes().to_vec()
    }
}

#[derive(Debug)]
struct Counting(Fault);

impl Subject for Counting {
    fn machine(&self, _: [u64; 2]) -> Box<dyn OwnMachine> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Box::new(Counter { count: 0, fault: self.0, number, image: Vec::new() })
    }

    fn ask(&self, dice: &mut Dice) -> Request {
        match dice.chance(300) {
            true => Request::framed(Kind::Read, vec![0]),
            false => Request::framed(Kind::Write, vec![1]),
        }
    }

    fn specification(&self) -> Option<Box<dyn Model>> {
        Some(Box::new(Sum(0)))
    }
}

/// Which check finds it.
fn found_by(fault: Fault) -> &'static str {
    check(Counting(fault), 0..20).expect_err("it is wrong").violation.checker
}

#[test]
fn a_sound_machine_passes() {
    let stats = check(Counting(Fault::None), 0..20).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(stats.seeds, 20);
    assert!(stats.answered > 1_000, "{stats:?}");
}

#[test]
fn a_machine_that_is_no_single_copy_is_found_out() {
    assert_eq!(found_by(Fault::Counts), "linearizable");
}

#[test]
fn a_machine_that_is_not_deterministic_is_found_out() {
    assert_eq!(found_by(Fault::Leaks), "twice");
    assert_eq!(found_by(Fault::Differs), "twice");
}

#[test]
fn an_image_that_does_not_hold_everything_is_found_out() {
    assert_eq!(found_by(Fault::Forgets), "twice");
}
