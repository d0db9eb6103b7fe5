//! Scripts as a part of the state machine: the same on every copy, and nothing is left of one that is
//! stopped.

use onecopy_core::StateMachine;
use onecopy_resp::Version;
use onecopy_script::name_of;

use crate::support::maker::Maker;
use crate::support::{Machine, Reply, words};

fn eval(script: &str, rest: &[&str]) -> Vec<Vec<u8>> {
    let words = ["EVAL", script].into_iter().chain(rest.iter().copied());
    words.map(|word| word.as_bytes().to_vec()).collect()
}

fn answer(machine: &mut Machine, args: &[Vec<u8>]) -> String {
    Reply::parse(&mut machine.apply(args).as_slice()).expect("a reply").text()
}

/// Another machine with the same state.
fn restored(machine: &mut Machine) -> Machine {
    let image = machine.image();
    let mut restored = Machine::new([7, 7]);
    restored.keyspace.restore(&image).expect("an image");
    restored.keyspace.restore_finish().expect("complete");
    (restored.context, restored.version) = (machine.context, machine.version);
    restored
}

/// What a script ends with that is stopped.
const ENDLESS: &str = "while true do end";

#[test]
fn a_script_that_is_stopped_leaves_nothing() {
    let mut maker = Maker::new(5);
    let mut machine = Machine::default();
    for _ in 0..300 {
        machine.apply(&words(&maker.any()));
    }
    let mut changed = 0;
    for round in 0..15 {
        let commands: Vec<String> = (0..1 + round % 8)
            .map(|_| {
                let words: Vec<String> = words(&maker.any())
                    .iter()
                    .map(|word| format!("{:?}", String::from_utf8_lossy(word)))
                    .collect();
                format!("redis.pcall({})", words.join(", "))
            })
            .collect();
        let more = ["", "redis.call('FLUSHALL')", "redis.call('SWAPDB', 0, 3) redis.call('SET', 's1', 'x')"];
        let text = format!("{} {} {}", commands.join(" "), more[round % 3], commands.join(" "));
        // What it does when it is not stopped.
        let mut other = restored(&mut machine);
        answer(&mut other, &eval(&text, &["0"]));
        let before = (machine.keyspace.digest(), machine.keyspace.memory(), machine.keyspace.due());
        changed += usize::from(other.keyspace.digest() != before.0);
        let reply = answer(&mut machine, &eval(&format!("{text} {ENDLESS}"), &["0"]));
        assert!(reply.starts_with("-ERR the script took too long"), "{reply}: {text}");
        // It is remembered by its name; nothing else is left.
        let after = (machine.keyspace.digest(), machine.keyspace.memory(), machine.keyspace.due());
        assert_eq!(before, after, "{text}");
    }
    assert!(changed > 10, "only {changed} would have changed something");
}

#[test]
fn what_was_written_before_an_error_stays() {
    let mut machine = Machine::default();
    let reply = answer(&mut machine, &eval("redis.call('SET', 'a', '1') error('oh')", &["0"]));
    assert!(reply.starts_with("-ERR user_script:1: oh script: "), "{reply}");
    assert_eq!(machine.run("GET a"), "1");
}

#[test]
fn who_writes_more_than_can_be_undone_is_stopped() {
    let mut machine = Machine::default();
    machine.run("SET before x");
    let script = "for i = 1, 100 do
        redis.call('SET', 'k' .. i, string.rep('x', 1000000))
        redis.call('SET', 'before', i)
    end
    for i = 1, 100 do redis.call('APPEND', 'k' .. i, 'x') end return 1";
    // New keys take nothing to remember.
    assert_eq!(answer(&mut machine, &eval(script, &["0"])), ":1");
    // To append takes none either, but to overwrite does.
    let script = "redis.call('SET', 'before', 'y')
    for i = 1, 100 do redis.call('SETRANGE', 'k' .. i, 0, string.rep('y', 900000)) end";
    let reply = answer(&mut machine, &eval(script, &["0"]));
    assert!(reply.starts_with("-ERR the script wrote more than can be undone"), "{reply}");
    assert_eq!(machine.run("GET before"), "100");
    assert_eq!(machine.run("STRLEN k1"), ":1000001");
}

#[test]
fn a_watch_does_not_see_what_was_undone() {
    for (ending, reply) in [("", "nil"), (ENDLESS, "[OK]")] {
        let mut machine = Machine::default();
        machine.run("SET a 1");
        machine.watching(1, "WATCH a b");
        let script = format!("redis.call('SET', 'a', '2') redis.call('SET', 'b', '2') {ending}");
        answer(&mut machine, &eval(&script, &["0"]));
        assert_eq!(machine.transact(Some(1), &["SET c 1"]).text(), reply);
    }
}

#[test]
fn scripts_and_libraries_are_in_images() {
    let mut machine = Machine::default();
    machine.run("SCRIPT LOAD return(1)");
    answer(&mut machine, &eval("return 2", &["0"]));
    let library = "#!lua name=lib\nredis.register_function{function_name='f', callback=function() return 3 end, \
                   flags={'no-writes'}, description='three'}";
    let load = ["FUNCTION", "LOAD", library].map(|word| word.as_bytes().to_vec());
    assert_eq!(answer(&mut machine, &load), "lib");
    let list = machine.run("FUNCTION LIST WITHCODE");
    let mut other = restored(&mut machine);
    assert_eq!(other.keyspace.digest(), machine.keyspace.digest());
    assert_eq!(other.keyspace.memory(), machine.keyspace.memory());
    assert_eq!(other.run(&format!("EVALSHA {} 0", name_of(b"return(1)"))), ":1");
    assert_eq!(other.run(&format!("EVALSHA {} 0", name_of(b"return 2"))), ":2");
    assert_eq!(other.run("FCALL f 0"), ":3");
    assert_eq!(other.run("FCALL_RO f 0"), ":3");
    assert_eq!(other.run("FUNCTION LIST WITHCODE"), list);
    // What is dumped can be restored, elsewhere and here.
    let payload = match Reply::parse(&mut machine.apply(&words("FUNCTION DUMP")).as_slice()) {
        Some(Reply::Bulk(payload)) => payload,
        other => panic!("{other:?}"),
    };
    let restore =
        |policy: &str| vec![b"FUNCTION".to_vec(), b"RESTORE".to_vec(), payload.clone(), policy.into()];
    assert_eq!(answer(&mut machine, &restore("APPEND")), "-ERR Library 'lib' already exists");
    assert_eq!(answer(&mut machine, &restore("REPLACE")), "OK");
    assert_eq!(answer(&mut machine, &restore("FLUSH")), "OK");
    assert_eq!(machine.run("FUNCTION LIST WITHCODE"), list);
    let mut damaged = restore("FLUSH");
    damaged[2][10] ^= 1;
    assert_eq!(answer(&mut machine, &damaged), "-ERR DUMP payload version or checksum are wrong");
}

#[test]
fn scripts_that_were_evaluated_are_forgotten_in_their_order() {
    let mut machine = Machine::default();
    machine.run("SCRIPT LOAD return(0)");
    for number in 0..=500 {
        answer(&mut machine, &eval(&format!("return {number}"), &["0"]));
    }
    let known = |machine: &mut Machine, text: &str| {
        machine.run(&format!("SCRIPT EXISTS {}", name_of(text.as_bytes())))
    };
    assert_eq!(known(&mut machine, "return 0"), "[:0]");
    assert_eq!(known(&mut machine, "return 1"), "[:1]");
    assert_eq!(known(&mut machine, "return(0)"), "[:1]");
    assert_eq!(machine.run("SCRIPT FLUSH"), "OK");
    assert_eq!(known(&mut machine, "return(0)"), "[:0]");
    assert_eq!(machine.keyspace.memory(), 0);
}

#[test]
fn memory_that_is_full_refuses_what_needs_more() {
    let mut machine = Machine::default();
    machine.run("SET a 1");
    machine.context.memory_max = 1;
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    let script = "return redis.call('SET', 'b', '1')";
    assert!(answer(&mut machine, &eval(script, &["0"])).contains(oom));
    assert_eq!(answer(&mut machine, &eval("return redis.call('GET', 'a')", &["0"])), "1");
    // Who has written something may go on, so that it is not stopped in the middle.
    assert_eq!(answer(&mut machine, &eval(&format!("redis.call('DEL', 'a') {script}"), &["0"])), "OK");
    let refused = answer(&mut machine, &eval(&format!("#!lua\n{script}"), &["0"]));
    assert_eq!(
        refused,
        "-OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
    );
    assert_eq!(answer(&mut machine, &eval(&format!("#!lua flags=allow-oom\n{script}"), &["0"])), "OK");
}

#[test]
fn a_script_in_a_transaction_and_under_a_token() {
    let mut machine = Machine::default();
    let reply = machine.transact(None, &["SET a 1", "EVAL return(redis.call('INCR',KEYS[1])) 1 a", "GET a"]);
    assert_eq!(reply.text(), "[OK :2 2]");
    let once = "ONCE token EVAL return(redis.call('INCR',KEYS[1])) 1 a";
    assert_eq!(machine.run(once), ":3");
    assert_eq!(machine.run(once), ":3");
    assert_eq!(machine.run("GET a"), "3");
}

#[test]
fn a_script_that_only_reads_is_a_read() {
    let mut machine = Machine::default();
    machine.run("SET a 1");
    assert_eq!(machine.query(5_000_000, "EVAL_RO return(redis.call('GET',KEYS[1])) 1 a"), "1");
    assert_eq!(machine.query(5_000_000, "EVAL_RO return(redis.call('TIME')[1]) 0"), "5000");
    let reply = machine.query(0, "EVAL_RO return(redis.call('SET',KEYS[1],'2')) 1 a");
    assert!(reply.starts_with("-ERR Write commands are not allowed from read-only scripts."), "{reply}");
    let reply = machine.query(0, "EVAL return(1) 0");
    assert!(reply.contains("cannot be executed as a read"), "{reply}");
}

#[test]
fn two_machines_agree_about_scripts() {
    let mut maker = Maker::new(11);
    let mut first = Machine::new([1, 2]);
    let mut second = Machine::new([u64::MAX, 3]);
    for step in 0..1500 {
        let commands: Vec<String> = (0..1 + step % 5)
            .map(|_| {
                let words: Vec<String> = words(&maker.any())
                    .iter()
                    .map(|word| format!("{:?}", String::from_utf8_lossy(word)))
                    .collect();
                format!("r[#r + 1] = redis.pcall({})", words.join(", "))
            })
            .collect();
        let seen =
            "r[#r + 1] = tostring({}) .. math.random(1000) .. cjson.encode({a = 1, [tostring(r)] = 2})";
        let ending = if step % 400 == 399 { ENDLESS } else { "" };
        let text = format!("local r = {{}} {} {seen} {ending} return r", commands.join(" "));
        let version = if step % 2 == 0 { Version::Two } else { Version::Three };
        (first.version, second.version) = (version, version);
        if step % 97 == 0 {
            second = restored(&mut second);
        }
        let args = eval(&text, &["0"]);
        assert_eq!(first.apply(&args), second.apply(&args), "step {step}: {text}");
        assert_eq!(first.keyspace.memory(), second.keyspace.memory(), "step {step}: {text}");
        assert_eq!(first.keyspace.digest(), second.keyspace.digest(), "step {step}: {text}");
    }
}
