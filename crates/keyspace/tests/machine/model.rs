//! Every type against the simplest thing that could be right, through whole entries.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::support::Machine;

/// What a key may hold, in the model.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    Text(String),
    List(Vec<String>),
    Hash(BTreeMap<String, String>),
    Set(BTreeSet<String>),
    Zset(BTreeMap<String, i64>),
}

type Model = BTreeMap<String, Held>;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

/// Runs `act` on the value at a key, created empty if absent, and removed if empty afterwards.
fn with(model: &mut Model, key: &str, empty: Held, act: impl FnOnce(&mut Held) -> Option<String>) -> String {
    let mut held = model.remove(key).unwrap_or(empty);
    let reply = act(&mut held).unwrap_or_else(|| WRONG_TYPE.into());
    let gone = match &held {
        Held::Text(_) => false,
        Held::List(list) => list.is_empty(),
        Held::Hash(hash) => hash.is_empty(),
        Held::Set(set) => set.is_empty(),
        Held::Zset(zset) => zset.is_empty(),
    };
    if !gone {
        model.insert(key.into(), held);
    }
    reply
}

/// A command, and what the model says that it answers.
fn step(model: &mut Model, op: u8, key: &str, member: &str, number: i64) -> (String, String) {
    let integer = |found: bool| format!(":{}", i64::from(found));
    match op {
        0 => {
            model.insert(key.into(), Held::Text(member.into()));
            (format!("SET {key} {member}"), "OK".into())
        }
        1 => {
            let reply = match model.get(key) {
                None => "nil".into(),
                Some(Held::Text(text)) => text.clone(),
                Some(_) => WRONG_TYPE.into(),
            };
            (format!("GET {key}"), reply)
        }
        2 => (format!("DEL {key}"), integer(model.remove(key).is_some())),
        3 => {
            let reply = with(model, key, Held::List(Vec::new()), |held| match held {
                Held::List(list) => {
                    list.insert(0, member.into());
                    Some(format!(":{}", list.len()))
                }
                _ => None,
            });
            (format!("LPUSH {key} {member}"), reply)
        }
        4 => {
            let reply = with(model, key, Held::List(Vec::new()), |held| match held {
                Held::List(list) => Some(list.pop().unwrap_or_else(|| "nil".into())),
                _ => None,
            });
            (format!("RPOP {key}"), reply)
        }
        5 => {
            let reply = with(model, key, Held::List(Vec::new()), |held| match held {
                Held::List(list) => Some(format!("[{}]", list.join(" "))),
                _ => None,
            });
            (format!("LRANGE {key} 0 -1"), reply)
        }
        6 => {
            let reply = with(model, key, Held::Hash(BTreeMap::new()), |held| match held {
                Held::Hash(hash) => Some(integer(hash.insert(member.into(), number.to_string()).is_none())),
                _ => None,
            });
            (format!("HSET {key} {member} {number}"), reply)
        }
        7 => {
            let reply = with(model, key, Held::Hash(BTreeMap::new()), |held| match held {
                Held::Hash(hash) => Some(integer(hash.remove(member).is_some())),
                _ => None,
            });
            (format!("HDEL {key} {member}"), reply)
        }
        8 => {
            let reply = with(model, key, Held::Set(BTreeSet::new()), |held| match held {
                Held::Set(set) => Some(integer(set.insert(member.into()))),
                _ => None,
            });
            (format!("SADD {key} {member}"), reply)
        }
        9 => {
            let reply = with(model, key, Held::Set(BTreeSet::new()), |held| match held {
                Held::Set(set) => Some(integer(set.remove(member))),
                _ => None,
            });
            (format!("SREM {key} {member}"), reply)
        }
        10 => {
            let reply = with(model, key, Held::Zset(BTreeMap::new()), |held| match held {
                Held::Zset(zset) => Some(integer(zset.insert(member.into(), number).is_none())),
                _ => None,
            });
            (format!("ZADD {key} {number} {member}"), reply)
        }
        11 => {
            let reply = with(model, key, Held::Zset(BTreeMap::new()), |held| match held {
                Held::Zset(zset) => Some(integer(zset.remove(member).is_some())),
                _ => None,
            });
            (format!("ZREM {key} {member}"), reply)
        }
        12 => {
            let reply = with(model, key, Held::Zset(BTreeMap::new()), |held| match held {
                Held::Zset(zset) => {
                    let mut pairs: Vec<_> =
                        zset.iter().map(|(member, score)| (*score, member.clone())).collect();
                    pairs.sort();
                    let text: Vec<String> =
                        pairs.iter().map(|(score, member)| format!("{member} {score}")).collect();
                    Some(format!("[{}]", text.join(" ")))
                }
                _ => None,
            });
            (format!("ZRANGE {key} 0 -1 WITHSCORES"), reply)
        }
        _ => ("DBSIZE".into(), format!(":{}", model.len())),
    }
}

proptest! {
    #[test]
    fn every_reply_is_the_models(
        ops in prop::collection::vec((0u8..14, 0u8..6, "[a-e]{1,2}", -5i64..5), 0..300)
    ) {
        let mut machine = Machine::default();
        let mut model = Model::new();
        for (op, key, member, number) in ops {
            let (line, expected) = step(&mut model, op, &format!("k{key}"), &member, number);
            prop_assert_eq!(machine.run(&line), expected, "{}", &line);
        }
        for key in model.keys() {
            machine.run(&format!("DEL {key}"));
        }
        prop_assert_eq!(onecopy_core::StateMachine::memory(&machine.keyspace), 0);
    }

    /// Clients repeat what they have asked for, at once or later, and in between time passes.
    #[test]
    fn nothing_is_executed_twice_under_one_token(
        ops in prop::collection::vec((0u8..14, 0u8..3, "[a-b]", -5i64..5, 0u8..12, 0u64..60_000), 0..300)
    ) {
        let mut machine = Machine::default();
        let mut model = Model::new();
        let mut answered = BTreeMap::<u8, (u64, String, String)>::new();
        for (op, key, member, number, token, pause) in ops {
            machine.sleep(pause);
            let now = machine.context.time.0;
            answered.retain(|_, (since, ..)| now < (*since + 600_000).div_ceil(1_000) * 1_000);
            let before = model.clone();
            let (line, executed) = step(&mut model, op, &format!("k{key}"), &member, number);
            let is_read = ["GET", "LRANGE", "ZRANGE", "DBSIZE"].iter().any(|read| line.starts_with(read));
            let expected = match answered.get(&token) {
                _ if is_read => {
                    let name = line.split(' ').next().unwrap_or_default();
                    format!("-ERR ONCE executes commands that change data, and '{name}' is not one of them")
                }
                None => {
                    answered.insert(token, (now, line.clone(), executed.clone()));
                    executed
                }
                Some((_, first, answer)) => {
                    model = before;
                    if *first == line { answer.clone() } else {
                        "-ERR the token was used before, for another command".to_owned()
                    }
                }
            };
            prop_assert_eq!(machine.run(&format!("ONCE {token} {line}")), expected, "{}", &line);
        }
        for key in model.keys() {
            machine.run(&format!("DEL {key}"));
        }
        machine.sleep(700_000);
        prop_assert_eq!(onecopy_core::StateMachine::memory(&machine.keyspace), 0, "nothing is left");
    }
}
