//! A script that is stopped leaves everything as it was: small values and large ones, wherever it is stopped.

use onecopy_core::StateMachine;

use crate::support::maker::Maker;
use crate::support::{Machine, Reply, words};

/// What a script ends with that is stopped, at once.
const BOMB: &str = "string.rep('x', 2^29)";

fn eval(machine: &mut Machine, script: &str) -> String {
    let args: Vec<Vec<u8>> = ["EVAL", script, "0"].iter().map(|word| word.as_bytes().to_vec()).collect();
    Reply::parse(&mut machine.apply(&args).as_slice()).expect("a reply").text()
}

/// Large values under the names that random commands use, and a waiter for one that is absent.
fn crowded() -> Machine {
    let mut machine = Machine::default();
    for at in 0..1200 {
        machine.run(&format!("RPUSH l1 {at} a element-{at}"));
        machine.run(&format!("HSET h1 f{at} {at} 12 {at} long-{at} {}", "v".repeat(at % 70)));
        machine.run(&format!("SADD t1 member-{at} {at}"));
        machine.run(&format!("ZADD z1 {} member-{at} 3 {}", at % 50, char::from(b'a' + (at % 7) as u8)));
    }
    for at in 0..130 {
        machine.run(&format!("RPUSH l2 element-number-{at}-of-many"));
        machine.run(&format!("HSET h2 field-number-{at} value-of-it"));
        machine.run(&format!("SADD t2 member-number-{at}-of-all-of-them"));
        machine.run(&format!("ZADD z2 {at} member-number-{at}-of-all"));
    }
    for at in 1..400 {
        machine.run(&format!("XADD m1 {at}-1 a {at} b value"));
    }
    for line in [
        "XGROUP CREATE m1 gr1 0",
        "XGROUP CREATE m1 gr2 50-1",
        "XREADGROUP GROUP gr1 co1 COUNT 150 STREAMS m1 >",
        "XREADGROUP GROUP gr1 co2 COUNT 50 STREAMS m1 >",
        "SETRANGE s1 6000 end",
        "SETBIT b1 60000 1",
        "EXPIRE h1 100",
        "EXPIRE t1 200",
    ] {
        machine.run(line);
    }
    machine
}

/// Everything that can be found out about a state, but for the order of keys.
fn seen(machine: &Machine) -> Vec<String> {
    let read = |line: &str| machine.query(machine.context.time.0, line);
    let mut all = vec![format!(
        "{} {} {:?} {:?}",
        machine.keyspace.digest(),
        machine.keyspace.memory(),
        machine.keyspace.due(),
        machine.keyspace.database_sizes().collect::<Vec<_>>(),
    )];
    for key in "s1 s2 n1 n2 b1 l1 l2 l3 h1 h2 h3 t1 t2 t3 z1 z2 z3 m1 m2 m3 x moved".split(' ') {
        let whole = match read(&format!("TYPE {key}")).as_str() {
            "list" => format!("LRANGE {key} 0 -1"),
            // In order of their positions.
            "hash" => format!("HGETALL {key}"),
            "set" => format!("SMEMBERS {key}"),
            "zset" => format!("ZSCAN {key} 0 COUNT 100000"),
            "stream" => format!("XINFO STREAM {key} FULL COUNT 0"),
            _ => format!("GET {key}"),
        };
        all.push(read(&whole));
        all.extend(["OBJECT ENCODING", "PTTL", "MEMORY USAGE"].map(|what| read(&format!("{what} {key}"))));
    }
    all
}

/// A command in Lua.
fn call(line: &str) -> String {
    let words: Vec<String> =
        words(line).iter().map(|word| format!("{:?}", String::from_utf8_lossy(word))).collect();
    format!("redis.pcall({})", words.join(", "))
}

#[test]
fn stopped_after_any_command_it_leaves_nothing() {
    let (mut changed, mut rounds) = (0, 0);
    for seed in 0..2 {
        let (mut maker, mut machine) = (Maker::new(seed), crowded());
        for round in 0..24 {
            let mut commands: Vec<String> = (0..8).map(|_| call(&maker.any())).collect();
            let extra = [
                "RENAME l1 moved",
                "RENAME moved l1",
                "RENAME z1 moved",
                "MOVE h1 2",
                "DEL t1",
                "SWAPDB 0 3",
                "LTRIM l1 5 1000",
                "ZREMRANGEBYRANK z2 0 5",
                "SPOP t2 3",
                "XTRIM m1 MAXLEN 7",
                "XGROUP DESTROY m1 gr1",
                "COPY l1 l3 REPLACE",
                "FLUSHDB",
            ];
            commands.insert(round % 8, call(extra[maker.below(extra.len())]));
            let before = seen(&machine);
            for count in 1..=commands.len() {
                let script = format!("{} {BOMB}", commands[..count].join(" "));
                let reply = eval(&mut machine, &script);
                assert!(reply.contains("all that it had written was undone"), "{reply}: {script}");
                let after = seen(&machine);
                let different = before.iter().zip(&after).find(|(before, after)| before != after);
                assert_eq!(different, None, "{script}");
            }
            // Now and then it stays, if that is no flush.
            if round % 3 == 0 && !commands.iter().any(|line| line.contains("FLUSH")) {
                let reply = eval(&mut machine, &commands.join(" "));
                assert_eq!(reply, "nil");
                changed += usize::from(seen(&machine) != before);
                rounds += 1;
            }
        }
    }
    assert!(changed > rounds / 2, "{changed} of {rounds} changed something");
}

#[test]
fn a_large_list_is_changed_without_a_copy() {
    let mut machine = Machine::default();
    let fill = "for i = 1, 400 do redis.call('RPUSH', KEYS[1], string.rep('x', 250000)) end";
    let args = ["EVAL", fill, "1", "large"].map(|word| word.as_bytes().to_vec());
    machine.apply(&args);
    // 100 MB, of which no script could keep a copy.
    let script = "for i = 1, 1000 do
        redis.call('LPUSH', 'large', i)
        redis.call('RPOPLPUSH', 'large', 'other')
        redis.call('LPUSH', 'large', redis.call('RPOP', 'other') or '')
        redis.call('LTRIM', 'large', 0, 399)
        redis.call('RPUSH', 'large', 'last')
    end";
    let before = (machine.keyspace.digest(), machine.keyspace.memory());
    let reply = eval(&mut machine, &format!("redis.call('LSET', 'large', 7, 'y') {BOMB}"));
    assert!(reply.contains("held too much memory"), "{reply}");
    assert_eq!(before, (machine.keyspace.digest(), machine.keyspace.memory()));
    let reply =
        eval(&mut machine, &format!("redis.call('RENAME', 'large', 'l') redis.call('DEL', 'l') {BOMB}"));
    assert!(reply.contains("held too much memory"), "{reply}");
    assert_eq!(before, (machine.keyspace.digest(), machine.keyspace.memory()));
    // What was pushed by the script itself goes without a note; what was there before is noted once.
    let reply = eval(&mut machine, script);
    assert!(reply.contains("wrote more than can be undone"), "{reply}");
    assert_eq!(before, (machine.keyspace.digest(), machine.keyspace.memory()));
    let short = script.replace("1000", "100").replace("0, 399", "0, 499");
    assert_eq!(eval(&mut machine, &short), "nil");
    assert_ne!(before.0, machine.keyspace.digest());
}

/// `cargo test --release -p onecopy-keyspace --test machine -- --ignored --nocapture pays`
#[test]
#[ignore = "measures"]
fn what_a_script_pays_for_one_change_of_a_million_elements() {
    let mut machine = Machine::default();
    let fill = "for i = 1, 100000 do
        local n = i + KEYS[1] * 100000
        redis.call('RPUSH', 'l', 'element-' .. n)
        redis.call('HSET', 'h', 'field-' .. n, 'value')
        redis.call('SADD', 't', 'member-' .. n)
        redis.call('ZADD', 'z', n, 'member-' .. n)
        redis.call('XADD', 'm', n + 1 .. '-1', 'field', 'value')
    end";
    for part in 0..10 {
        let args = ["EVAL", fill, "1", &part.to_string()].map(|word| word.as_bytes().to_vec());
        machine.apply(&args);
    }
    for command in [
        "LPUSH l x",
        "RPOPLPUSH l l",
        "HSET h field-5 other",
        "SADD t new",
        "ZADD z 7 member-9",
        "XADD m * field value",
        "SET nothing x",
    ] {
        let script = format!("{} return 1", call(command));
        let begin = std::time::Instant::now();
        for _ in 0..20 {
            eval(&mut machine, &script);
        }
        println!("{command}: {:.1} us", begin.elapsed().as_secs_f64() * 1e6 / 20.0);
    }
}
