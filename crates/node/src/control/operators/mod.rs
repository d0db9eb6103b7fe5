//! Where operators are served: what they want goes to whoever can do it, until it shows that it was done or
//! it is too late.
//!
//! Commands for the view table go to all view nodes, of which the leader answers; handovers go to the node of
//! the primary. What was asked may be lost with whoever was asked, so it is asked again; the table shows what
//! has happened meanwhile.

mod question;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use onecopy_core::Instant;
use onecopy_views::{Command, Table};
use tokio::sync::{mpsc, oneshot};

use crate::operation::{Operated, Operation};
pub(crate) use question::Question;

/// How long an operator waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer may take before the question is asked again.
const REPEAT: Duration = Duration::from_millis(700);

/// What somebody wants done.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// By an operator.
    Operation(Operation),
    /// By a client: a command for the view table, checked already.
    Command(Command),
}

/// Something that is wanted, and who waits for its outcome.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) wanted: Wanted,
    pub(crate) answer: oneshot::Sender<Operated>,
}

/// Hands operations to the control thread, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Operators(pub(crate) mpsc::UnboundedSender<Request>);

impl Operators {
    /// Has something done. Bounded in time.
    pub(crate) async fn ask(&self, operation: Operation) -> Operated {
        self.want(Wanted::Operation(operation)).await
    }

    /// Has a command executed on the view table. Bounded in time.
    pub(crate) async fn propose(&self, command: Command) -> Operated {
        self.want(Wanted::Command(command)).await
    }

    async fn want(&self, wanted: Wanted) -> Operated {
        let (answer, answered) = oneshot::channel();
        let stopping = || Operated::unknown("the node is stopping: ask another one");
        match self.0.send(Request { wanted, answer }) {
            Ok(()) => answered.await.unwrap_or_else(|_| stopping()),
            Err(_) => stopping(),
        }
    }
}

/// All operations under way at this node.
#[derive(Debug)]
pub(crate) struct PendingOperations {
    /// With fewer copies no write would be taken.
    min_copies: u32,
    next: u64,
    pending: BTreeMap<u64, Pending>,
}

#[derive(Debug)]
struct Pending {
    question: Question,
    answer: oneshot::Sender<Operated>,
    until: Instant,
    next_question: Instant,
}

impl PendingOperations {
    /// Its requests are counted from `first`, so that an answer to an earlier process is none to this one.
    pub(crate) fn new(min_copies: u32, first: u64) -> Self {
        Self { min_copies, next: first, pending: BTreeMap::new() }
    }

    /// Takes a request. What makes no sense is answered at once.
    pub(crate) fn take(&mut self, now: Instant, request: Request, table: &Table) {
        let Request { wanted, answer } = request;
        let question = match wanted {
            Wanted::Command(command) => Ok(Question::Command(command)),
            Wanted::Operation(
                Operation::Copies { copies, .. }
                | Operation::SetDatabase { copies: Some(copies), min_copies: None, .. }
                | Operation::CreateDatabase { copies: Some(copies), .. },
            ) if (1..self.min_copies).contains(&copies) => Err(format!(
                "copies = {copies} is less than min_copies = {}: no write would be taken any more. Start the \
                     nodes with a smaller min_copies first",
                self.min_copies
            )),
            Wanted::Operation(operation) => Question::of(operation, table),
        };
        match question {
            Ok(question) => {
                let pending = Pending { question, answer, until: now + PATIENCE, next_question: now };
                self.pending.insert(self.next, pending);
                self.next = self.next.wrapping_add(1);
            }
            Err(reason) => answer_with(answer, Operated::refused(reason)),
        }
    }

    /// What is to be asked now. What nobody has answered in time is given up.
    pub(crate) fn questions(&mut self, now: Instant) -> Vec<(u64, Question)> {
        for (_, pending) in self.pending.extract_if(.., |_, pending| pending.until <= now) {
            answer_with(pending.answer, Operated::unknown(unanswered(&pending.question)));
        }
        let due = self.pending.iter_mut().filter(|(_, pending)| pending.next_question <= now);
        let ask = |(request, pending): (&u64, &mut Pending)| {
            pending.next_question = now + REPEAT;
            (*request, pending.question.clone())
        };
        due.map(ask).collect()
    }

    /// Somebody who was asked says what became of it.
    pub(crate) fn answered(&mut self, request: u64, outcome: Result<(), String>, table: &Table) {
        let Some(pending) = self.pending.remove(&request) else { return };
        if pending.question.goes_on(outcome.is_ok(), table) {
            // It is answered when the table shows that it is over.
            let next_question = pending.until;
            self.pending.insert(request, Pending { next_question, ..pending });
            return;
        }
        let Pending { question, answer, .. } = pending;
        // What is refused may have been done when it was asked for the first time.
        let operated = match (outcome, question.is_done(table)) {
            (_, Some(said)) => Operated::done(said),
            (Ok(()), None) => Operated::done(match &question {
                Question::Command(command) => question::said(command),
                Question::Members(change) => question::said_of_members(change),
                Question::Handover { group, .. } => format!("{group} was handed over"),
            }),
            (Err(reason), None) => Operated::refused(reason),
        };
        answer_with(answer, operated);
    }

    /// The table has changed: it shows which handovers have happened, which cannot any more, and which must
    /// be asked for again. (Commands are answered by who executes them.)
    pub(crate) fn learnt(&mut self, table: &Table) {
        let waits = |pending: &Pending| {
            let switches = |command: &Command| matches!(command, Command::SwitchKind { .. });
            match &pending.question {
                Question::Handover { .. } => true,
                Question::Command(command) => switches(command) && pending.next_question == pending.until,
                Question::Members(_) => false,
            }
        };
        for (request, mut pending) in std::mem::take(&mut self.pending) {
            let done = if waits(&pending) { pending.question.is_done(table) } else { None };
            match (done, pending.question.renew(table)) {
                (Some(said), _) => answer_with(pending.answer, Operated::done(said)),
                (None, Err(reason)) => answer_with(pending.answer, Operated::refused(reason)),
                (None, Ok(again)) => {
                    if again {
                        pending.next_question = Instant::ZERO;
                    }
                    self.pending.insert(request, pending);
                }
            }
        }
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.next_question.min(pending.until)).min()
    }
}

/// An operator who has gone away does not mind.
fn answer_with(answer: oneshot::Sender<Operated>, operated: Operated) {
    let _ = answer.send(operated);
}

fn unanswered(question: &Question) -> String {
    let who = match question {
        Question::Command(Command::SwitchKind { .. }) => {
            "the copies have not all been ready to switch (`onecopy events` shows the view service's part)".to_owned()
        }
        Question::Command(_) | Question::Members(_) => {
            "the view service did not answer (is a majority of the view nodes up? `onecopy status` shows them)".to_owned()
        }
        Question::Handover { primary, .. } => format!("node {}, the primary, did not answer", primary.0),
    };
    let seconds = PATIENCE.as_secs();
    format!("{who} within {seconds} s. It may happen yet: `onecopy events` shows what has")
}
