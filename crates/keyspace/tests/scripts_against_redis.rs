//! Scripts answer what Redis answers. Skipped with a message where there is no `redis-server`.

mod support;

use std::collections::BTreeMap;

use onecopy_resp::Version;
use support::maker::Maker;
use support::redis::{Redis, comparable, seed_and_count};
use support::templates::{Compare, TEMPLATES};
use support::{Machine, Reply};

/// One script for each line. State is kept from line to line.
const CORPUS: &str = include_str!("support/scripts.lua");

/// What Redis 7.2, whose scripts these are, answers in another way than 7.0, which is at hand.
const NEWER: &[&str] = &["REDIS_VERSION", "os.clock"];

fn eval(name: &str, script: &str, rest: &[&str]) -> Vec<Vec<u8>> {
    let words = [name, script].into_iter().chain(rest.iter().copied());
    words.map(|word| word.as_bytes().to_vec()).collect()
}

/// Words of other commands that scripts need.
fn words(line: &str) -> Vec<Vec<u8>> {
    support::words(line)
}

fn compare(machine: &mut Machine, redis: &mut Redis, args: &[Vec<u8>]) -> Option<String> {
    let ours = Reply::parse(&mut machine.apply(args).as_slice()).expect("a reply");
    let theirs = redis.run(args);
    // Functions are in no order.
    let is_list = args[0] == b"FUNCTION" && args[1] == b"LIST";
    let sorted = |text: String| {
        let words = text.split([' ', '[', ']', '{', '}']);
        let mut parts: Vec<_> = words.map(str::to_owned).collect();
        parts.sort();
        parts
    };
    if ours.text() == theirs.text() || is_list && sorted(ours.text()) == sorted(theirs.text()) {
        return None;
    }
    let line: Vec<_> = args.iter().map(|arg| arg.escape_ascii().to_string()).collect();
    Some(format!("{}\n    here:  {}\n    Redis: {}\n", line.join(" "), ours.text(), theirs.text()))
}

fn run(version: Version) {
    let Some(mut redis) = Redis::start(&[]) else {
        eprintln!("skipped: there is no redis-server");
        return;
    };
    let mut machine = Machine { version, ..Machine::default() };
    if version == Version::Three {
        redis.run(&words("HELLO 3"));
    }
    let (mut count, mut different) = (0, Vec::new());
    for script in CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
        if NEWER.iter().any(|newer| script.contains(newer)) {
            continue;
        }
        let script = script.replace("\\n", "\n");
        let rest = ["2", "k1", "k2", "a1", "17", "0.5"];
        different.extend(compare(&mut machine, &mut redis, &eval("EVAL", &script, &rest)));
        count += 1;
        if script.contains("redis.call") {
            different.extend(compare(&mut machine, &mut redis, &eval("EVAL_RO", &script, &rest)));
        }
    }
    assert!(count > 150, "{count}");
    for line in [
        "EVALSHA aaaa 0",
        "EVALSHA aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 0",
        "EVAL x -1",
        "EVAL x 3 a",
        "EVAL x y",
        "EVAL x",
        "SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db x",
        "SCRIPT EXISTS",
        "SCRIPT LOAD",
        "SCRIPT LOAD return(1)",
        "SCRIPT LOAD return(",
        "EVALSHA 6c0b8c4d4c1a0bc3f4d2c1c2bd6f0e2ba0a6c0a1 0",
        "SCRIPT FLUSH",
        "SCRIPT FLUSH ASYNC",
        "SCRIPT FLUSH x",
        "SCRIPT KILL",
        "SCRIPT foo",
        "SCRIPT DEBUG no",
        "FUNCTION LIST",
        "FUNCTION STATS",
        "FUNCTION KILL",
        "FUNCTION DELETE x",
        "FUNCTION FLUSH x",
        "FUNCTION foo",
        "FCALL x 0",
        "FCALL x 1",
        "FCALL_RO x 0",
    ] {
        different.extend(compare(&mut machine, &mut redis, &words(line)));
    }
    for library in LIBRARIES {
        let load = ["FUNCTION", "LOAD", library].map(|word| word.as_bytes().to_vec());
        different.extend(compare(&mut machine, &mut redis, &load));
    }
    for line in [
        "FCALL f6 0",
        "FCALL f6 x",
        "FCALL f6 9",
        "FCALL f6 -1",
        "FCALL F7 0",
        "FUNCTION DELETE other",
        "FUNCTION DELETE quoted",
        "FUNCTION DELETE a",
        "FUNCTION DELETE A",
        "FUNCTION RESTORE a b c",
        "FUNCTION FLUSH a b",
        "FUNCTION DUMP a",
        "FUNCTION LOAD",
        "FCALL f1 1 k1 a1",
        "FCALL F1 1 k1 a1",
        "FCALL f2 1 k1 v1",
        "FCALL_RO f2 0",
        "FCALL_RO f3 1 k1",
        "FCALL f4 0",
        "FCALL f5 0",
        "FCALL nope 0",
        "FUNCTION LIST",
        "FUNCTION LIST LIBRARYNAME m* WITHCODE",
        "FUNCTION LIST x",
        "FUNCTION STATS",
        "FUNCTION DELETE mylib",
        "FCALL f1 0",
        "FUNCTION FLUSH",
        "FUNCTION LIST",
    ] {
        different.extend(compare(&mut machine, &mut redis, &words(line)));
    }
    assert!(different.is_empty(), "{version:?}:\n{}", different.concat());
}

const LIBRARIES: &[&str] = &[
    "return 1",
    "#!lua\nreturn 1",
    "#!lua name=a-b\nreturn 1",
    "#!lua name=mylib\nreturn 1",
    "#!lua name=mylib\nreturn (",
    "#!lua name=mylib\nredis.register_function('f1', 1)",
    "#!lua name=mylib\nredis.call('SET', 'a', 'b')",
    "#!lua name=mylib\nlocal function f1(keys, args) return {keys[1], args[1], #keys, #args} end\n\
     redis.register_function('f1', f1)\n\
     redis.register_function('f2', function(keys, args) return redis.call('SET', keys[1], args[1]) end)\n\
     redis.register_function{function_name='f3', callback=function(keys) return redis.call('GET', keys[1]) end, \
     flags={'no-writes'}, description='reads'}\n\
     redis.register_function('f4', function() error('oh') end)\n\
     redis.register_function('f5', function() return nothing end)",
    "#!lua name=mylib\nredis.register_function('f1', function() end)",
    "#!lua name=other\nredis.register_function('f1', function() end)",
    "#!lua name=other\nredis.register_function('f6', function() end, {'foo'})",
    "#!LUA name=other\nredis.register_function('f6', function() return 'any case' end)",
    "#!Lua \"name=o\\x74her\"\nredis.register_function('F1', function() end)",
    "#!Lua \"name=quoted\" \nredis.register_function('f7', function() return 7 end)",
    "#!lua 'name=open\nredis.register_function('f8', function() end)",
    "#!lua name=a name=b\nredis.register_function('f8', function() end)",
    "#!lua name=a x=1\nredis.register_function('f8', function() end)",
    "#!lua name=\nredis.register_function('f8', function() end)",
    "#!js name=a\nreturn 1",
    "#! name=a\nreturn 1",
    "#!lua name=a",
    "#!lua name=a\nredis.register_function(nil, function() end)",
    "#!lua name=a\nredis.register_function('', function() end)",
    "#!lua name=a\nredis.register_function('a-b', function() end)",
    "#!lua name=a\nlocal x = math.random() redis.register_function('f8', function() end)",
    "#!lua name=a\nlocal x = tostring(1) redis.register_function('f8', function() end)",
    "#!lua name=a\nredis.setresp(3)",
    "#!lua name=a\nlocal x = redis.REPL_NONE",
    "#!lua name=a\nlocal x = redis.REDIS_VERSION_NUM redis.log(redis.LOG_WARNING, 'loaded')\n\
     redis.register_function('f8', function() return math.floor(8.5) .. tostring(1) end)",
];

#[test]
fn scripts_answer_what_redis_answers() {
    run(Version::Two);
}

#[test]
fn scripts_answer_what_redis_answers_in_resp3() {
    run(Version::Three);
}

/// What calls the command that it is given, and says of what type the reply is.
const ONE: &str = "redis.setresp(RESP) return redis.pcall(unpack(ARGV))";
/// What calls several, with bars behind them.
const SEVERAL: &str = "redis.setresp(RESP) local replies, args = {}, {} for _, word in ipairs(ARGV) do if word == '|' then \
    local reply = redis.pcall(unpack(args)) replies[#replies + 1] = type(reply) replies[#replies + 1] = reply or false \
    args = {} else args[#args + 1] = word end end return replies";

/// Random commands, called by scripts, one or several at a time.
fn run_random(version: Version) {
    let (seed, count) = seed_and_count();
    let Some(mut redis) = Redis::start(&[]) else {
        eprintln!("skipped: there is no redis-server");
        return;
    };
    let (mut machine, mut maker) = (Machine { version, ..Machine::default() }, Maker::new(seed));
    if version == Version::Three {
        redis.run(&words("HELLO 3"));
    }
    let exact: Vec<&str> = TEMPLATES
        .iter()
        .filter(|(_, compare)| *compare == Compare::Exact)
        .map(|(template, _)| *template)
        .collect();
    let mut different: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for step in 0..count / 3 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        machine.context.time.0 = u64::try_from(now.as_millis()).expect("a time");
        let is_one = maker.below(2) == 0;
        let resp = ["2", "3"][maker.below(2)];
        let (templates, compare) = match is_one {
            true => {
                let (template, compare) = TEMPLATES[maker.below(TEMPLATES.len())];
                (vec![template], compare)
            }
            false => {
                ((0..1 + maker.below(4)).map(|_| exact[maker.below(exact.len())]).collect(), Compare::Exact)
            }
        };
        // A map that a script returns is in an order of its own, which nobody knows behind others.
        let is_left_out = |template: &&str| {
            ["FLUSH", "SWAP"].iter().any(|name| template.starts_with(name))
                || template.starts_with("LCS") && resp == "3"
        };
        if templates.iter().any(is_left_out) {
            continue;
        }
        let mut args = eval("EVAL", &if is_one { ONE } else { SEVERAL }.replace("RESP", resp), &["0"]);
        for template in &templates {
            args.extend(words(&maker.fill(template)));
            args.extend((!is_one).then(|| b"|".to_vec()));
        }
        let ours = Reply::parse(&mut machine.apply(&args).as_slice()).expect("a reply");
        let (ours, theirs) = (comparable(ours, compare).text(), comparable(redis.run(&args), compare).text());
        if ours.trim_end() != theirs.trim_end() {
            let line: Vec<_> = args[3..].iter().map(|arg| arg.escape_ascii().to_string()).collect();
            let report = format!(
                "step {step}, replies of RESP{resp}: {}\n  redis:   {theirs}\n  onecopy: {ours}",
                line.join(" ")
            );
            different.entry(templates.join(" | ")).or_insert((0, report)).0 += 1;
        }
    }
    let reports: Vec<String> =
        different.values().take(40).map(|(times, report)| format!("({times} times) {report}")).collect();
    assert!(reports.is_empty(), "{version:?}, seed {seed}:\n{}", reports.join("\n"));
}

#[test]
fn commands_in_scripts_answer_what_redis_answers() {
    run_random(Version::Two);
}

#[test]
fn commands_in_scripts_answer_what_redis_answers_in_resp3() {
    run_random(Version::Three);
}
