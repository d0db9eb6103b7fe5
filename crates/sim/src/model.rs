//! What a single copy would do: the specification of everything that clients ask for, in a few lines of its
//! own, without the keyspace. The checks of linearizability ask it.

use onecopy_core::Timestamp;

use crate::client::{ACCOUNTS, Action, CACHED_BYTES, Family, OpId, value};

/// The state of one object. Nothing has happened to it if all is 0.
///
/// A register holds 1 plus the number of the operation that wrote it, a counter its count, a set its size,
/// the accounts hold one balance each, and a lease holds 1 plus the number of the operation, and its end. Of
/// an object of several keys each key has one number ([`crate::several`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct State(pub [i64; ACCOUNTS as usize]);

impl State {
    /// A state that is one number.
    #[must_use]
    pub fn number(number: i64) -> Self {
        Self([number, 0, 0, 0])
    }

    /// The first number.
    #[must_use]
    pub fn first(&self) -> i64 {
        self.0[0]
    }

    /// What is left of it at a time.
    #[must_use]
    pub fn at(self, family: Family, now: Timestamp) -> Self {
        let is_over = family == Family::Lease && self.0[1].cast_unsigned() <= now.0;
        if is_over { Self::default() } else { self }
    }

    /// When it will be over by itself, if it will.
    #[must_use]
    pub fn due(&self, family: Family) -> Option<Timestamp> {
        (family == Family::Lease && self.first() != 0).then(|| Timestamp(self.0[1].cast_unsigned()))
    }
}

/// What an operation makes of an object that was `before`, in an entry of this time.
#[must_use]
pub fn after(action: Action, op: OpId, before: State, now: Timestamp) -> State {
    let before = before.at(action.family(), now);
    let written = op as i64 + 1;
    let end = |ms: i64| now.0.cast_signed() + ms;
    match action {
        Action::Set | Action::Keep => State::number(written),
        Action::Incr | Action::Add => State::number(before.first() + 1),
        Action::Transfer { from, to, amount } => {
            let mut accounts = before;
            accounts.0[from as usize] -= amount;
            accounts.0[to as usize] += amount;
            accounts
        }
        Action::Lease { ms } => State([written, end(ms), 0, 0]),
        Action::Renew { ms } if before.first() != 0 => State([before.first(), end(ms), 0, 0]),
        Action::Renew { .. }
        | Action::Get
        | Action::Count
        | Action::Size
        | Action::Audit
        | Action::Look
        | Action::Recall
        | Action::Costly => before,
        // No state depends on the length of values, or on names.
        Action::Several(step) => step.execute("", op, before, 0).0,
        // Their state is not here.
        Action::Put
        | Action::Take { .. }
        | Action::Queue
        | Action::Channels(_)
        | Action::Tell
        | Action::Ask => before,
    }
}

/// What an operation answers, if the object of this key was `before`.
#[must_use]
pub fn answer(
    action: Action,
    (key, op): (u64, OpId),
    before: State,
    now: Timestamp,
    value_bytes: usize,
) -> Vec<u8> {
    let before = before.at(action.family(), now);
    let after = after(action, op, before, now);
    match action {
        Action::Put => Vec::new(),
        Action::Set | Action::Keep | Action::Lease { .. } => b"+OK\r\n".to_vec(),
        Action::Add => integer(1),
        Action::Incr | Action::Size => integer(after.first()),
        Action::Renew { .. } => integer(i64::from(before.first() != 0)),
        Action::Transfer { from, to, .. } => {
            [integer(after.0[from as usize]), integer(after.0[to as usize])].concat()
        }
        Action::Count => balance(before.first(), before.first() == 0),
        // A balance of 0 is that of an account that nobody has touched, or of one that was emptied.
        Action::Audit => before.0.iter().flat_map(|amount| balance(*amount, false)).collect(),
        // Of a key that nobody writes.
        Action::Costly => NIL.to_vec(),
        Action::Get | Action::Recall if before.first() == 0 => NIL.to_vec(),
        Action::Recall => bulk(&value((before.first() - 1) as OpId, CACHED_BYTES)),
        Action::Get => bulk(&value((before.first() - 1) as OpId, value_bytes)),
        Action::Several(step) => step.execute(&step.family().key(key), op, before, value_bytes).1,
        // A queue answers ([`crate::checks::waits`]), or a specification of somebody's own.
        Action::Take { .. } | Action::Queue | Action::Channels(_) | Action::Tell | Action::Ask => Vec::new(),
        Action::Look if before.first() == 0 => [NIL, b":0\r\n:-2\r\n:-2\r\n"].concat(),
        Action::Look => {
            let [written, end, ..] = before.0;
            let value = bulk((written - 1).to_string().as_bytes());
            [value, integer(1), integer(end), integer(end - now.0.cast_signed())].concat()
        }
    }
}

/// Whether an answer is the one that a single copy gives. Two things are left open: whether an empty account
/// was ever touched, and how much of a life is left, which the wall clock of a primary says: at most what the
/// entries say.
#[must_use]
pub fn fits(action: Action, got: &[u8], expected: &[u8]) -> bool {
    if got == expected {
        return true;
    }
    match action {
        Action::Audit => balances(got).is_some_and(|got| Some(got) == balances(expected)),
        Action::Look => match (split_last(got), split_last(expected)) {
            (Some((got, left)), Some((expected, most))) => got == expected && (0..=most).contains(&left),
            _ => false,
        },
        _ => false,
    }
}

/// The balances that an audit has read.
#[must_use]
pub fn balances(mut answer: &[u8]) -> Option<[i64; ACCOUNTS as usize]> {
    let mut balances = [0; ACCOUNTS as usize];
    for balance in &mut balances {
        let (length, rest) = line(answer)?;
        answer = rest;
        if length != b"$-1" {
            let (number, rest) = line(answer)?;
            *balance = std::str::from_utf8(number).ok()?.parse().ok()?;
            answer = rest;
        }
    }
    answer.is_empty().then_some(balances)
}

/// The integer that ends an answer, and what is before it.
fn split_last(answer: &[u8]) -> Option<(&[u8], i64)> {
    let colon = answer.iter().rposition(|byte| *byte == b':')?;
    let number = std::str::from_utf8(&answer[colon + 1..]).ok()?.trim_end().parse().ok()?;
    Some((&answer[..colon], number))
}

fn line(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = answer.windows(2).position(|bytes| bytes == b"\r\n")?;
    Some((&answer[..end], &answer[end + 2..]))
}

pub(crate) const NIL: &[u8] = b"$-1\r\n";

pub(crate) fn integer(number: i64) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

fn balance(number: i64, is_absent: bool) -> Vec<u8> {
    if is_absent { NIL.to_vec() } else { bulk(number.to_string().as_bytes()) }
}

pub(crate) fn bulk(bytes: &[u8]) -> Vec<u8> {
    let mut reply = format!("${}\r\n", bytes.len()).into_bytes();
    reply.extend_from_slice(bytes);
    reply.extend_from_slice(b"\r\n");
    reply
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use onecopy_core::{ApplyContext, Index, QueryContext, StateMachine};
    use onecopy_keyspace::Keyspace;

    use super::*;
    use crate::dice::Dice;
    use crate::message::Kind;
    use crate::workload;

    /// The model and the keyspace are two programs for one specification.
    #[test]
    fn the_keyspace_answers_what_the_model_says() {
        let mut dice = Dice::new(1, 0);
        let mut keyspace = Keyspace::new([1, 2]);
        let mut states = std::collections::BTreeMap::<(Family, u64), State>::new();
        let mut now = Timestamp(1_000);
        for op in 0..5_000 {
            now.0 += dice.below(40);
            let family = *dice.pick(&Family::ALL);
            let action = workload::action(&mut dice, family, 400);
            let key = dice.below(action.family().objects(2));
            let state = states.entry((action.family(), key)).or_default();
            let once = action.kind() == Kind::Write && action.may_have_tokens() && op % 3 == 0;
            let segment: BytesMut = action.segment(key, op, 20, once);
            let mut reply = Vec::new();
            match action.kind() {
                Kind::Read => keyspace.query(&QueryContext::at(now), &segment, &mut reply),
                // Nothing is parked here: it is no batch.
                Kind::Write | Kind::Wait => {
                    let index = Index(op as u64);
                    let context = ApplyContext::new(index, now, 0);
                    keyspace.advance(&context);
                    keyspace.apply(&context, &segment, &mut reply);
                }
            }
            // What has expired is decided by entries.
            let clock = keyspace.clock();
            let expected = answer(action, (key, op), *state, clock, 20);
            let (got, expected) = (String::from_utf8_lossy(&reply[4..]), String::from_utf8_lossy(&expected));
            assert!(
                fits(action, got.as_bytes(), expected.as_bytes()),
                "{op} {action:?}: {got:?} {expected:?}"
            );
            *state = after(action, op, *state, clock);
        }
    }

    #[test]
    fn a_lease_ends_at_its_time_and_not_before() {
        let lease = after(Action::Lease { ms: 50 }, 6, State::default(), Timestamp(100));
        let look = |now| String::from_utf8(answer(Action::Look, (0, 9), lease, Timestamp(now), 0)).unwrap();
        assert_eq!(look(149), "$1\r\n6\r\n:1\r\n:150\r\n:1\r\n");
        assert_eq!(look(150), "$-1\r\n:0\r\n:-2\r\n:-2\r\n");
        assert_eq!(answer(Action::Renew { ms: 50 }, (0, 9), lease, Timestamp(150), 0), b":0\r\n");
        let (at_most, more) = (b"$1\r\n6\r\n:1\r\n:150\r\n:1\r\n", b"$1\r\n6\r\n:1\r\n:150\r\n:2\r\n");
        assert!(fits(Action::Look, at_most, more) && !fits(Action::Look, more, at_most));
    }
}
