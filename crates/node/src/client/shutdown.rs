//! `SHUTDOWN`: the node stops as it does at SIGTERM.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use crate::server::Ending;

const SYNTAX: &str = "ERR syntax error";
const NOT_IN_PROGRESS: &str = "ERR No shutdown in progress.";
const TOO_LATE: &str = "ERR The shutdown cannot be aborted: other nodes are taking over already.";

/// What a client asks of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Stop,
    Abort,
}

/// Has the process stop.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    is_begun: std::sync::Arc<AtomicBool>,
    endings: UnboundedSender<Ending>,
}

impl Shutdown {
    pub(crate) fn new(endings: UnboundedSender<Ending>) -> Self {
        Self { is_begun: std::sync::Arc::default(), endings }
    }

    /// `SHUTDOWN` with these arguments. Nobody is answered by a process that stops.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn ask(&self, args: &[&[u8]]) -> Result<(), String> {
        match understand(args)? {
            Asked::Abort if self.is_begun.load(Ordering::Acquire) => Err(TOO_LATE.to_owned()),
            Asked::Abort => Err(NOT_IN_PROGRESS.to_owned()),
            Asked::Stop => {
                self.is_begun.store(true, Ordering::Release);
                let _ = self.endings.send(Ending::ShutDown);
                Ok(())
            }
        }
    }
}

/// `NOSAVE` and `SAVE` are the same: what is acknowledged is saved. `NOW` and `FORCE` change nothing: nothing
/// is waited for that takes longer than a second, and nothing fails that could be ignored.
fn understand(args: &[&[u8]]) -> Result<Asked, String> {
    let counts = [&b"nosave"[..], b"save", b"now", b"force", b"abort"]
        .map(|word| args.iter().filter(|arg| arg.eq_ignore_ascii_case(word)).count());
    let [nosave, save, now, force, abort] = counts;
    let others = nosave + save + now + force;
    match (others + abort) == args.len() && nosave.min(save) == 0 && abort.min(others) == 0 {
        true if abort > 0 => Ok(Asked::Abort),
        true => Ok(Asked::Stop),
        false => Err(SYNTAX.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(shutdown: &Shutdown, line: &str) -> Result<(), String> {
        let args: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        shutdown.ask(&args)
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let (endings, mut ended) = tokio::sync::mpsc::unbounded_channel();
        let shutdown = Shutdown::new(endings);
        for wrong in ["SAVE NOSAVE", "ABORT NOW", "SAVE ABORT", "NEVER", "NOW NEVER"] {
            assert_eq!(ask(&shutdown, wrong), Err(SYNTAX.to_owned()), "{wrong}");
        }
        assert_eq!(ask(&shutdown, "ABORT"), Err(NOT_IN_PROGRESS.to_owned()));
        assert!(ended.try_recv().is_err());
        assert_eq!(ask(&shutdown, "nosave Now FORCE"), Ok(()));
        assert_eq!(ended.try_recv(), Ok(Ending::ShutDown));
        assert_eq!(ask(&shutdown, "ABORT"), Err(TOO_LATE.to_owned()));
    }
}
