//! Who takes a key to another group: what is asked next, and what follows from the answer.

use onecopy_core::GroupId;
use onecopy_resp::replies_length;

use super::commands::OVER_REPLY;

/// What is to be asked of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which group.
    pub group: GroupId,
    /// For which of its databases.
    pub db: u8,
    /// Whether it has to go through the log.
    pub writes: bool,
    /// The command.
    pub args: Vec<Vec<u8>>,
}

/// What was heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The reply of the state machine, in RESP2.
    Reply(&'a [u8]),
    /// The database is not there any more.
    NoDatabase,
    /// It was not executed, and never will be.
    Refused,
    /// Nobody knows whether it was executed, or will be.
    Unknown,
}

/// How it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Whether the key was moved.
    Moved(bool),
    /// It stays where it is, for this reason.
    Stays(String),
    /// The first step was not taken, and never will be.
    Refused,
    /// It may be on its way: whoever goes on will end it.
    UnderWay,
}

#[derive(Clone, Debug)]
enum State {
    Departing {
        db: u8,
        key: Vec<u8>,
        to: (GroupId, u8),
    },
    Reading(u64),
    Arriving(u64, Goods),
    /// The target said why it cannot have it: it is to remember that it has not.
    Withdrawing(u64, Goods, String),
    Concluding {
        number: u64,
        taken: bool,
        reason: Option<String>,
    },
}

/// What arrives.
#[derive(Clone, Debug)]
struct Goods {
    to: (GroupId, u8),
    key: Vec<u8>,
    below: u64,
    expires: u64,
    payload: Option<Vec<u8>>,
}

/// Drives one move. Several may drive the same one, at once and one after the other.
///
/// ```
/// use onecopy_core::GroupId;
/// use onecopy_keyspace::moves::{Ended, Heard, Mover};
///
/// let mut mover = Mover::begin(GroupId(1), (0, b"key"), (GroupId(2), 0));
/// assert_eq!(mover.ask().args[1], b"DEPART");
/// // There is no such key.
/// assert_eq!(mover.hear(Heard::Reply(b":0\r\n")), Some(Ended::Moved(false)));
/// ```
#[derive(Clone, Debug)]
pub struct Mover {
    source: GroupId,
    state: State,
}

fn words(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}

fn digits(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// The number of an integer reply.
fn integer(reply: &[u8]) -> Option<u64> {
    let digits = reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The contents of a bulk reply; `None` within for nil.
fn bulk(reply: &[u8]) -> Option<Option<Vec<u8>>> {
    if reply == b"$-1\r\n" {
        return Some(None);
    }
    let begin = reply.iter().position(|byte| *byte == b'\n')? + 1;
    Some(Some(reply.strip_prefix(b"$").and(reply.get(begin..reply.len().checked_sub(2)?))?.to_vec()))
}

impl Goods {
    /// What `DEPARTING` has answered.
    fn parse(reply: &[u8]) -> Option<Self> {
        let mut rest = reply.strip_prefix(b"*6\r\n")?;
        let mut next = || {
            let (one, others) = rest.split_at_checked(replies_length(rest, 1)?)?;
            rest = others;
            Some(one)
        };
        let key = bulk(next()?)??;
        let group = GroupId(u32::try_from(integer(next()?)?).ok()?);
        let to = u8::try_from(integer(next()?)?).ok()?;
        let (below, expires) = (integer(next()?)?, integer(next()?)?);
        Some(Self { to: (group, to), key, below, expires, payload: bulk(next()?)? })
    }
}

impl Mover {
    /// A key of a database of `source` is to go to another group.
    #[must_use]
    pub fn begin(source: GroupId, (db, key): (u8, &[u8]), to: (GroupId, u8)) -> Self {
        Self { source, state: State::Departing { db, key: key.to_vec(), to } }
    }

    /// Somebody has let a key depart under this number, and not been heard of since.
    #[must_use]
    pub fn resume(source: GroupId, number: u64) -> Self {
        Self { source, state: State::Reading(number) }
    }

    /// What asks a group which keys have been on their way for so many milliseconds.
    #[must_use]
    pub fn look(source: GroupId, age_ms: u64) -> Ask {
        let args = words(&[b"", b"DEPARTURES", &digits(age_ms)]);
        Ask { group: source, db: 0, writes: false, args }
    }

    /// The numbers in the answer to [`look`](Self::look).
    #[must_use]
    pub fn found(reply: &[u8]) -> Vec<u64> {
        let numbers = reply.split(|byte| *byte == b'\n').skip(1);
        numbers.filter_map(|line| integer(&[line, b"\n"].concat())).collect()
    }

    /// What is to be asked next.
    #[must_use]
    pub fn ask(&self) -> Ask {
        let Self { source, state } = self;
        let at_source = |db: u8, writes: bool, args: Vec<Vec<u8>>| Ask { group: *source, db, writes, args };
        match state {
            State::Departing { db, key, to: (group, to) } => {
                let args = words(&[b"", b"DEPART", key, &digits(group.0.into()), &digits((*to).into())]);
                at_source(*db, true, args)
            }
            State::Reading(number) => at_source(0, false, words(&[b"", b"DEPARTING", &digits(*number)])),
            State::Arriving(number, goods) => self.arrive(*number, goods, goods.payload.as_deref()),
            State::Withdrawing(number, goods, _) => self.arrive(*number, goods, None),
            State::Concluding { number, taken, .. } => {
                let taken: &[u8] = if *taken { b"1" } else { b"0" };
                at_source(0, true, words(&[b"", b"CONCLUDE", &digits(*number), taken]))
            }
        }
    }

    fn arrive(&self, number: u64, goods: &Goods, payload: Option<&[u8]>) -> Ask {
        let numbers = [self.source.0.into(), number, goods.below].map(digits);
        let mut args = words(&[b"", b"ARRIVE", &numbers[0], &numbers[1], &numbers[2], &goods.key]);
        args.push(digits(goods.expires));
        args.extend(payload.map(<[u8]>::to_vec));
        Ask { group: goods.to.0, db: goods.to.1, writes: true, args }
    }

    /// What was asked for is answered. Returns how it has ended, if it has.
    pub fn hear(&mut self, heard: Heard<'_>) -> Option<Ended> {
        let reply = match heard {
            Heard::Reply(reply) => reply,
            Heard::Refused if matches!(self.state, State::Departing { .. }) => return Some(Ended::Refused),
            Heard::NoDatabase => return self.miss(),
            Heard::Refused | Heard::Unknown => return Some(Ended::UnderWay),
        };
        let complaint = || String::from_utf8_lossy(&reply[1..]).trim_end().to_owned();
        let is_error = reply.first() == Some(&b'-');
        let next = match (&mut self.state, integer(reply)) {
            (State::Departing { .. }, Some(0)) => return Some(Ended::Moved(false)),
            (State::Departing { .. }, Some(number)) => State::Reading(number),
            (State::Departing { .. }, None) if is_error => return Some(Ended::Stays(complaint())),
            (State::Reading(number), _) => match Goods::parse(reply) {
                Some(goods) => State::Arriving(*number, goods),
                // Somebody else has ended it.
                None => return Some(Ended::UnderWay),
            },
            (State::Arriving(number, _), Some(taken)) => {
                State::Concluding { number: *number, taken: taken == 1, reason: None }
            }
            (State::Withdrawing(number, _, reason), Some(taken)) => {
                let reason = (taken == 0).then(|| reason.clone());
                State::Concluding { number: *number, taken: taken == 1, reason }
            }
            (State::Arriving(number, goods), None) if is_error && !reply.starts_with(OVER_REPLY) => {
                State::Withdrawing(*number, goods.clone(), complaint())
            }
            // Whoever was faster has concluded it with the same.
            (State::Concluding { reason: Some(reason), .. }, Some(_)) => {
                return Some(Ended::Stays(reason.clone()));
            }
            (State::Concluding { taken, .. }, Some(_)) => return Some(Ended::Moved(*taken)),
            _ => return Some(Ended::UnderWay),
        };
        self.state = next;
        None
    }

    /// A database is not there any more. Without the target the key stays; without the source there is none.
    fn miss(&mut self) -> Option<Ended> {
        let reason = || "ERR the database that the key was to go to was dropped".to_owned();
        match &self.state {
            State::Arriving(number, _) | State::Withdrawing(number, ..) => {
                self.state = State::Concluding { number: *number, taken: false, reason: Some(reason()) };
                None
            }
            _ => Some(Ended::Stays("ERR the selected database was dropped".to_owned())),
        }
    }
}
