//! Which commands a random history has, and what they do.

use onecopy_merge::Replica;

use crate::oracle::{Deed, Oracle};
use crate::support::{Dice, ask};

fn name(dice: &mut Dice) -> String {
    format!("m{}", dice.below(4))
}

fn key(kind: &str, dice: &mut Dice) -> String {
    format!("{kind}{}", dice.below(3))
}

/// A command for a replica: its key, its line, and what it does. `elements` counts elements of lists, each of
/// which is a text of its own.
pub fn choose(
    dice: &mut Dice,
    replica: &Replica,
    oracle: &Oracle,
    elements: &mut u64,
) -> (String, String, Vec<Deed>) {
    let (context, number, by) = (replica.clock(), dice.below(100), 1 + dice.below(9) as i64);
    match number {
        0..10 => {
            let key = key("n", dice);
            let put = Deed::Put { name: String::new(), text: by.to_string() };
            (key.clone(), format!("SET {key} {by}"), vec![Deed::ClearKey, put])
        }
        10..25 => {
            let key = key("n", dice);
            (key.clone(), format!("INCRBY {key} {by}"), vec![Deed::Count { name: String::new(), by }])
        }
        25..32 => {
            let kind = *dice.one_of(&["n", "h", "s", "z", "l"]);
            let key = key(kind, dice);
            (key.clone(), format!("DEL {key}"), vec![Deed::ClearKey])
        }
        32..38 => {
            let (key, name) = (key("h", dice), name(dice));
            let put = Deed::Put { name: name.clone(), text: by.to_string() };
            (key.clone(), format!("HSET {key} {name} {by}"), vec![Deed::Clear { name }, put])
        }
        38..46 => {
            let (key, name) = (key("h", dice), name(dice));
            (key.clone(), format!("HINCRBY {key} {name} {by}"), vec![Deed::Count { name, by }])
        }
        46..50 => {
            let (key, name) = (key("h", dice), name(dice));
            (key.clone(), format!("HDEL {key} {name}"), vec![Deed::Clear { name }])
        }
        50..58 => {
            let (key, name) = (key("s", dice), name(dice));
            let put = Deed::Put { name: name.clone(), text: String::new() };
            (key.clone(), format!("SADD {key} {name}"), vec![Deed::Clear { name }, put])
        }
        58..64 => {
            let (key, name) = (key("s", dice), name(dice));
            (key.clone(), format!("SREM {key} {name}"), vec![Deed::Clear { name }])
        }
        64..70 => {
            let (key, name) = (key("z", dice), name(dice));
            let put = Deed::Put { name: name.clone(), text: by.to_string() };
            (key.clone(), format!("ZADD {key} {by} {name}"), vec![Deed::Clear { name }, put])
        }
        70..78 => {
            let (key, name) = (key("z", dice), name(dice));
            let deed = if oracle.shows(&key, context, &name) {
                Deed::Raise { name: name.clone(), by }
            } else {
                Deed::Put { name: name.clone(), text: by.to_string() }
            };
            (key.clone(), format!("ZINCRBY {key} {by} {name}"), vec![deed])
        }
        78..82 => {
            let (key, name) = (key("z", dice), name(dice));
            (key.clone(), format!("ZREM {key} {name}"), vec![Deed::Clear { name }])
        }
        82..90 => {
            let key = key("l", dice);
            let side = *dice.one_of(&["RPUSH", "LPUSH"]);
            *elements += 1;
            let element = format!("e{elements}");
            let put = Deed::Put { name: element.clone(), text: String::new() };
            (key.clone(), format!("{side} {key} {element}"), vec![put])
        }
        90..95 => {
            let key = key("l", dice);
            let side = *dice.one_of(&["RPOP", "LPOP"]);
            let index = if side == "RPOP" { -1 } else { 0 };
            let name = ask(replica, &format!("LINDEX {key} {index}"));
            (key.clone(), format!("{side} {key}"), vec![Deed::Clear { name }])
        }
        // What is not followed one by one: expiry, and keys that hold several types.
        _ => {
            let lines = [
                "SET e1 v PX 200",
                "SET e1 w",
                "PEXPIRE e1 300",
                "PERSIST e1",
                "HSET e2 f v",
                "PEXPIRE e2 250",
                "HINCRBY e2 g 1",
                "DEL e2",
                "SADD x a",
                "RPUSH x b",
                "HSET x c d",
                "SET x e",
                "DEL x",
                "LSET x 0 g",
                "LINSERT x BEFORE b h",
                "LTRIM x 0 2",
                "ZADD x 1 m",
                "PEXPIRE x 150",
                "RENAME x y",
                "COPY y x REPLACE",
                "INCRBYFLOAT e3 0.25",
                "SUNIONSTORE x s0 s1",
                "APPEND e1 y",
                "INCR e3",
                "PEXPIRE e3 100",
            ];
            let line = *dice.one_of(&lines);
            (String::from("x"), line.to_string(), Vec::new())
        }
    }
}
