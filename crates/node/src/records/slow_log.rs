//! `SLOWLOG`: the last commands that took long.

use std::collections::VecDeque;
use std::time::Duration;

use super::time_of_day;

/// Of a command so many arguments are kept, the last of which says how many more there were.
const ARGS_MAX: usize = 32;
/// So many bytes of each.
const ARG_BYTES_MAX: usize = 128;
/// All entries together have at most so many bytes: the oldest go first.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// What an entry costs beside its texts.
const ENTRY_BYTES: usize = 128;

/// A command that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slow {
    pub(crate) id: u64,
    /// When it was answered, in seconds since 1970.
    pub(crate) time: u64,
    pub(crate) took: Duration,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) address: String,
    pub(crate) client: String,
}

impl Slow {
    fn bytes(&self) -> usize {
        let args: usize = self.args.iter().map(|arg| size_of::<Vec<u8>>() + arg.len()).sum();
        ENTRY_BYTES + args + self.address.len() + self.client.len()
    }
}

/// The commands, newest first.
#[derive(Debug, Default)]
pub(crate) struct SlowLog {
    entries: VecDeque<Slow>,
    bytes: usize,
    next: u64,
}

impl SlowLog {
    /// A command took long. At most `entries_max` are kept.
    pub(crate) fn add(
        &mut self,
        took: Duration,
        args: &[&[u8]],
        (address, client): (&str, &str),
        entries_max: usize,
    ) {
        let (address, client) = (address.to_owned(), client.to_owned());
        let (id, time, args) = (self.next, time_of_day().as_secs(), trimmed(args));
        let slow = Slow { id, time, took, args, address, client };
        self.next += 1;
        self.bytes += slow.bytes();
        self.entries.push_front(slow);
        while self.entries.len() > entries_max || self.bytes > BYTES_MAX {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.bytes -= oldest.bytes();
        }
    }

    /// The newest ones, newest first.
    pub(crate) fn newest(&self, count: usize) -> impl ExactSizeIterator<Item = &Slow> {
        self.entries.iter().take(count)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// What is kept of the arguments, as in Redis.
fn trimmed(args: &[&[u8]]) -> Vec<Vec<u8>> {
    let kept = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let mut trimmed: Vec<Vec<u8>> = args[..kept].iter().map(|arg| trimmed_arg(arg)).collect();
    if args.len() > kept {
        trimmed.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    trimmed
}

fn trimmed_arg(arg: &[u8]) -> Vec<u8> {
    match arg.split_at_checked(ARG_BYTES_MAX) {
        Some((kept, rest)) if !rest.is_empty() => {
            [kept, format!("... ({} more bytes)", rest.len()).as_bytes()].concat()
        }
        _ => arg.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(log: &mut SlowLog, args: &[&[u8]], entries_max: usize) {
        log.add(Duration::from_millis(3), args, ("1.2.3.4:5", "me"), entries_max);
    }

    #[test]
    fn the_newest_come_first_and_only_so_many_are_kept() {
        let mut log = SlowLog::default();
        for name in [b"a", b"b", b"c"] {
            add(&mut log, &[name], 2);
        }
        let ids: Vec<u64> = log.newest(10).map(|slow| slow.id).collect();
        assert_eq!((ids, log.len()), (vec![2, 1], 2));
        log.clear();
        add(&mut log, &[b"d"], 2);
        assert_eq!(log.newest(1).next().map(|slow| slow.id), Some(3), "ids go on");
        add(&mut log, &[b"e"], 0);
        assert_eq!(log.len(), 0);
    }

    #[test]
    fn long_commands_are_trimmed() {
        let mut log = SlowLog::default();
        let (long, many) = (vec![b'x'; 200], vec![b"y".as_slice(); 41]);
        add(&mut log, &[b"SET", &long], 10);
        add(&mut log, &many, 10);
        let entries: Vec<&Slow> = log.newest(10).collect();
        assert_eq!(entries[0].args.len(), 32);
        assert_eq!(entries[0].args[31], b"... (10 more arguments)");
        assert_eq!(entries[1].args[1], [&long[..128], b"... (72 more bytes)"].concat());
    }

    #[test]
    fn bytes_are_bounded_whatever_is_asked_for() {
        let mut log = SlowLog::default();
        let long = vec![b'x'; 200];
        let args = vec![long.as_slice(); 32];
        for _ in 0..5_000 {
            add(&mut log, &args, usize::MAX);
        }
        assert!(log.bytes <= BYTES_MAX && log.len() > 2_000);
        assert_eq!(log.bytes, log.entries.iter().map(Slow::bytes).sum::<usize>());
    }
}
