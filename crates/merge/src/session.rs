//! What a client can know of other copies: session tokens, and how many have its writes.
//!
//! A *token* says what a copy had seen when it was asked (`CAUSAL`). A client that hands it to another copy
//! (`CAUSAL token`) waits until that one has seen as much: it reads its own writes, and nothing older than
//! what it has read (Terry et al., *Session Guarantees for Weakly Consistent Replicated Data*, PDIS 1994).
//! The token covers what the copy has seen, which is more than what the client has.

use bytes::Bytes;
use onecopy_core::GroupId;
use onecopy_keyspace::request::{Args, segments};
use onecopy_resp::{Version, Writer};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// How long `CAUSAL token` waits unless it says so.
const PATIENCE_MS: u64 = 1_000;
/// How long anybody waits at most.
const PATIENCE_MS_MAX: u64 = 60_000;
/// The version of tokens, their first byte.
const FORMAT: u8 = 1;
const BEHIND: &str =
    "BEHIND this copy has not yet seen what the token stands for; try again, or ask another node";

/// What somebody has seen of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Token {
    database: GroupId,
    clock: Clock,
}

/// What a client asks a copy about other copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// `CAUSAL`: what has this copy seen?
    Token,
    /// `CAUSAL token [milliseconds]`: has it seen this?
    Seen {
        /// What it should have seen.
        clock: Clock,
        /// How long the client waits for that.
        patience_ms: u64,
    },
    /// `WAIT copies milliseconds`: how many other copies have everything that this one has done?
    Copies {
        /// How many are enough.
        enough: u64,
        /// How long the client waits for them.
        patience_ms: u64,
    },
    /// It makes no sense.
    Wrong(&'static str),
}

impl Question {
    /// The question in a body, if it is one.
    #[must_use]
    pub fn of(body: &[u8], database: GroupId) -> Option<Self> {
        let segment = segments(body).next()?.ok()?;
        let mut args = Args::new();
        if !segment.commands().next_into(&mut args).ok()? {
            return None;
        }
        match (args[0].to_ascii_lowercase().as_slice(), &args[1..]) {
            (b"causal", []) => Some(Self::Token),
            (b"causal", [token]) => Some(seen(token, PATIENCE_MS, database)),
            (b"causal", [token, patience]) => Some(match number(patience) {
                Some(patience_ms) => seen(token, patience_ms, database),
                None => Self::Wrong("ERR timeout is not an integer or out of range"),
            }),
            (b"causal", _) => Some(Self::Wrong("ERR wrong number of arguments for 'causal' command")),
            (b"wait", [enough, patience]) => Some(match (number(enough), number(patience)) {
                // Zero is for as long as it takes: there is a bound.
                (Some(enough), Some(0)) => Self::Copies { enough, patience_ms: PATIENCE_MS_MAX },
                (Some(enough), Some(patience_ms)) => {
                    Self::Copies { enough, patience_ms: patience_ms.min(PATIENCE_MS_MAX) }
                }
                _ => Self::Wrong("ERR value is not an integer or out of range"),
            }),
            _ => None,
        }
    }
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn seen(token: &[u8], patience_ms: u64, database: GroupId) -> Question {
    let decoded = || {
        let bytes: Option<Vec<u8>> = token.chunks(2).map(byte).collect();
        let (&FORMAT, rest) = bytes.as_deref()?.split_first()? else { return None };
        postcard::from_bytes::<Token>(rest).ok()
    };
    match decoded() {
        Some(token) if token.database == database => {
            Question::Seen { clock: token.clock, patience_ms: patience_ms.min(PATIENCE_MS_MAX) }
        }
        Some(_) => Question::Wrong("ERR the token is of another database"),
        None => Question::Wrong("ERR this is no token that CAUSAL has given"),
    }
}

fn byte(pair: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
    u8::from_str_radix(text, 16).ok()
}

/// What somebody has seen of a database, as text.
fn token(database: GroupId, clock: &Clock) -> String {
    let token = Token { database, clock: clock.clone() };
    let bytes = postcard::to_extend(&token, vec![FORMAT]).expect("memory takes every token");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer to a question, as a response with one reply.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// A token for what has been seen of a database.
    Token(GroupId, &'a Clock),
    /// Everything has been seen.
    Seen,
    /// Something has not been seen.
    Behind,
    /// So many copies.
    Copies(u64),
    /// The question makes no sense: why.
    Wrong(&'a str),
}

impl Reply<'_> {
    /// Its bytes.
    #[must_use]
    pub fn encode(self) -> Bytes {
        let mut response = vec![0; 4];
        let mut reply = Writer::new(&mut response, Version::Two);
        match self {
            Self::Token(database, clock) => reply.bulk(token(database, clock).as_bytes()),
            Self::Seen => reply.ok(),
            Self::Behind => reply.error(BEHIND),
            Self::Copies(count) => reply.integer(i64::try_from(count).unwrap_or(i64::MAX)),
            Self::Wrong(why) => reply.error(why),
        }
        let length = u32::try_from(response.len() - 4).expect("a short reply");
        response[..4].copy_from_slice(&length.to_le_bytes());
        response.into()
    }
}

#[cfg(test)]
mod tests {
    use onecopy_keyspace::request::SegmentBuilder;

    use super::*;
    use crate::dot::{Dot, ReplicaId};

    const HERE: GroupId = GroupId(2);

    fn question(line: &str) -> Option<Question> {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        segment.push(line.split(' ').map(str::as_bytes));
        Question::of(&segment.finish(), HERE)
    }

    #[test]
    fn a_token_comes_back_as_what_was_seen() {
        let mut clock = Clock::new();
        clock.add(Dot::new(ReplicaId(7), 1 << 40));
        let text = token(HERE, &clock);
        assert_eq!(question(&format!("CAUSAL {text}")), Some(Question::Seen { clock, patience_ms: 1_000 }));
        let other = token(GroupId(3), &Clock::new());
        for wrong in [other.as_str(), "x", "", "01", "ffff", &text[1..]] {
            let asked = question(&format!("causal {wrong}"));
            assert!(matches!(asked, Some(Question::Wrong(_))), "{wrong}: {asked:?}");
        }
    }

    #[test]
    fn questions_are_told_from_commands() {
        assert_eq!(question("CAUSAL"), Some(Question::Token));
        assert_eq!(question("WAIT 1 0"), Some(Question::Copies { enough: 1, patience_ms: 60_000 }));
        assert!(matches!(question("WAIT x 0"), Some(Question::Wrong(_))));
        assert_eq!((question("BLPOP list 1"), question("GET causal")), (None, None));
    }
}
