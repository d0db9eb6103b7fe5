//! Commands that wait: one machine, several clients, each with at most one command that waits.

use std::collections::BTreeMap;

use onecopy_core::segments::PARKED;
use onecopy_core::{BatchId, Incarnation, StateMachine, Timestamp};
use onecopy_keyspace::request::{SegmentBuilder, WaiterId};
use onecopy_resp::Version;

use crate::support::{Machine, Reply, words};

/// A machine whose answers are heard, client by client.
struct Scene {
    machine: Machine,
    sequence: u64,
    /// Who waits, by their batches.
    clients: BTreeMap<u64, u64>,
    /// What was heard of them, in order.
    heard: Vec<(u64, String)>,
}

fn coordinator(client: u64) -> Incarnation {
    Incarnation(u128::from(client / 10))
}

fn waiter(client: u64) -> WaiterId {
    WaiterId { process: coordinator(client), number: client }
}

/// A reply, in which integers look like other texts.
fn text(response: &[u8]) -> String {
    let mut rest = &response[4..];
    Reply::parse(&mut rest).expect("a reply").text().replace(':', "")
}

impl Scene {
    fn new() -> Self {
        Self { machine: Machine::default(), sequence: 0, clients: BTreeMap::new(), heard: Vec::new() }
    }

    fn batch(&mut self, client: u64) -> BatchId {
        self.sequence += 1;
        BatchId { coordinator: coordinator(client), sequence: self.sequence }
    }

    fn segment(&mut self, client: u64, segment: SegmentBuilder) -> Option<String> {
        let batch = self.batch(client);
        let machine = &mut self.machine;
        machine.context.index = machine.context.index.next();
        machine.context.batch = Some(batch);
        machine.keyspace.advance(&machine.context);
        machine.keyspace.present(&machine.context, batch.coordinator);
        let mut response = Vec::new();
        machine.keyspace.apply(&machine.context, &segment.finish(), &mut response);
        let is_parked = response == PARKED.to_le_bytes();
        if is_parked {
            self.clients.insert(batch.sequence, client);
        }
        self.hear();
        (!is_parked).then(|| text(&response))
    }

    /// A client asks for something, and may wait: the answer, if there is one.
    fn ask(&mut self, client: u64, line: &str) -> Option<String> {
        let mut segment = SegmentBuilder::new(0, Version::Two).waiting(waiter(client));
        segment.push(words(line).iter().map(Vec::as_slice));
        self.segment(client, segment)
    }

    fn waits(&mut self, client: u64, line: &str) {
        assert_eq!(self.ask(client, line), None, "{line}");
    }

    /// Somebody asks who does not wait.
    fn run(&mut self, line: &str) -> String {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        segment.push(words(line).iter().map(Vec::as_slice));
        self.segment(990, segment).expect("an answer")
    }

    fn transact(&mut self, lines: &[&str]) -> String {
        let segment = crate::support::transaction((0, Version::Two), None, lines);
        self.segment(990, segment).expect("an answer")
    }

    fn unblock(&mut self, client: u64, reason: &[u8]) -> String {
        let batch = self.batch(990);
        let context = &mut self.machine.context;
        (context.index, context.batch) = (context.index.next(), Some(batch));
        let mut response = Vec::new();
        let body = SegmentBuilder::unblock(waiter(client), reason);
        self.machine.keyspace.apply(&self.machine.context, &body, &mut response);
        self.hear();
        text(&response)
    }

    fn hear(&mut self) {
        for output in self.machine.keyspace.outputs() {
            let client = self.clients.remove(&output.to.sequence).expect("somebody who waits");
            let is_sent_away = output.response[..] == [0xff; 4];
            let reply = if is_sent_away { "again".to_owned() } else { text(&output.response) };
            self.heard.push((client, reply));
        }
    }

    /// Lets time pass.
    fn sleep(&mut self, milliseconds: u64) {
        self.machine.sleep(milliseconds);
        self.hear();
    }

    /// What was heard since this was last asked.
    fn heard(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.heard)
    }

    fn expect(&mut self, expected: &[(u64, &str)]) {
        let heard = self.heard();
        let heard: Vec<(u64, &str)> = heard.iter().map(|(client, reply)| (*client, reply.as_str())).collect();
        assert_eq!(heard, expected);
    }
}

#[test]
fn who_has_waited_longest_is_served_first() {
    let mut scene = Scene::new();
    for client in 1..=3 {
        scene.waits(client, "BLPOP a b 0");
    }
    assert_eq!(scene.run("RPUSH b x y"), "2");
    scene.expect(&[(1, "[b x]"), (2, "[b y]")]);
    assert_eq!(scene.run("EXISTS b"), "0");
    assert_eq!(scene.run("RPUSH a z w"), "2");
    scene.expect(&[(3, "[a z]")]);
    assert_eq!(scene.ask(4, "BRPOP a 0").as_deref(), Some("[a w]"), "it is there");
}

#[test]
fn a_transaction_serves_at_its_end() {
    let mut scene = Scene::new();
    scene.waits(1, "BLPOP a 0");
    scene.waits(2, "BRPOP a 0");
    assert_eq!(scene.transact(&["RPUSH a x", "LPUSH a y", "RPUSH a z", "LLEN a"]), "[1 2 3 3]");
    scene.expect(&[(1, "[a y]"), (2, "[a z]")]);
    assert_eq!(scene.transact(&["RPUSH a x", "DEL a"]), "[2 1]");
    scene.waits(3, "BLPOP a 0");
    assert_eq!(scene.transact(&["RPUSH a x", "DEL a", "SET a s"]), "[1 1 OK]");
    scene.expect(&[]);
    assert_eq!(
        scene.transact(&["BLPOP none 0", "BLMOVE none a LEFT LEFT 0", "BZPOPMIN none 0"]),
        "[nil nil nil]"
    );
}

#[test]
fn another_type_wakes_nobody() {
    let mut scene = Scene::new();
    scene.waits(1, "BLPOP a 0");
    scene.waits(2, "BZPOPMIN a 0");
    for line in ["SET a s", "APPEND a t", "DEL a", "SADD a m", "DEL a"] {
        scene.run(line);
    }
    scene.expect(&[]);
    scene.run("ZADD a 1 m");
    scene.expect(&[(2, "[a m 1]")]);
    scene.run("RPUSH other x");
    scene.run("RENAME other a");
    scene.expect(&[(1, "[a x]")]);
    assert_eq!(scene.run("SET s s"), "OK");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!(scene.ask(3, "BLPOP none s 0").as_deref(), Some(wrong));
}

#[test]
fn whatever_makes_a_list_serves() {
    for line in ["RENAME l a", "COPY l a", "LMOVE l a LEFT LEFT", "SORT l STORE a", "RENAMENX l a"] {
        let mut scene = Scene::new();
        scene.run("RPUSH l 7");
        scene.waits(1, "BLPOP a 0");
        scene.run(line);
        scene.expect(&[(1, "[a 7]")]);
    }
    let mut scene = Scene::new();
    scene.waits(1, "BLPOP a 0");
    scene.machine.db = 1;
    let mut segment = SegmentBuilder::new(1, Version::Two);
    segment.push([b"RPUSH".as_slice(), b"a", b"x"]);
    scene.segment(990, segment);
    scene.expect(&[]);
    scene.run("SWAPDB 0 1");
    scene.expect(&[(1, "[a x]")]);
}

#[test]
fn moves_wake_others_in_a_chain() {
    let mut scene = Scene::new();
    scene.waits(1, "BLMOVE a b LEFT RIGHT 0");
    scene.waits(2, "BRPOPLPUSH b c 0");
    scene.waits(3, "BLPOP c 0");
    scene.run("RPUSH a x");
    scene.expect(&[(1, "x"), (2, "x"), (3, "[c x]")]);
    assert_eq!(scene.run("EXISTS a b c"), "0");
    // To itself.
    scene.waits(1, "BLMOVE a a LEFT RIGHT 0");
    scene.waits(2, "BLPOP a 0");
    scene.run("RPUSH a x y");
    scene.expect(&[(1, "x"), (2, "[a y]")]);
    assert_eq!(scene.run("LRANGE a 0 -1"), "[x]");
    // A wrong target is the fault of the one who named it.
    scene.run("DEL a");
    scene.run("SET s s");
    scene.waits(1, "BLMOVE a s LEFT RIGHT 0");
    scene.waits(2, "BLPOP a 0");
    scene.run("RPUSH a x");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    scene.expect(&[(1, wrong), (2, "[a x]")]);
}

#[test]
fn several_are_popped_at_once() {
    let mut scene = Scene::new();
    scene.waits(1, "BLMPOP 0 2 a b RIGHT COUNT 2");
    scene.waits(2, "BZMPOP 0 1 z MIN COUNT 3");
    scene.waits(3, "BZPOPMAX y z 0");
    scene.run("RPUSH b x y z");
    scene.run("ZADD z 1 p 2 q");
    scene.run("ZADD y 1 p 2 q");
    scene.expect(&[(1, "[b [z y]]"), (2, "[z [[p 1] [q 2]]]"), (3, "[y q 2]")]);
}

#[test]
fn nobody_waits_for_longer_than_wanted() {
    let mut scene = Scene::new();
    scene.waits(1, "BLPOP a 0.5");
    scene.waits(2, "BLMOVE a b LEFT LEFT 0.0001");
    scene.waits(3, "BLPOP a 0");
    let clock = scene.machine.keyspace.clock().0;
    assert_eq!(scene.machine.keyspace.due(), Some(Timestamp(clock + 1)));
    scene.sleep(499);
    scene.expect(&[(2, "nil")]);
    scene.sleep(1);
    scene.expect(&[(1, "nil")]);
    assert_eq!(scene.machine.keyspace.due(), None);
    for (timeout, error) in [
        ("-1", "-ERR timeout is negative"),
        ("x", "-ERR timeout is not a float or out of range"),
        ("inf", "-ERR timeout is not a float or out of range"),
        ("1e300", "-ERR timeout is out of range"),
        ("9223372036854775", "-ERR timeout is out of range"),
    ] {
        assert_eq!(scene.ask(4, &format!("BLPOP a {timeout}")).as_deref(), Some(error), "{timeout}");
    }
}

#[test]
fn streams_are_read_once_there_is_something() {
    let mut scene = Scene::new();
    scene.run("XADD s 1-1 f v");
    scene.waits(1, "XREAD BLOCK 0 STREAMS s t $ 0");
    scene.waits(2, "XREAD COUNT 1 BLOCK 100 STREAMS s 1-1");
    scene.run("XADD s 1-2 f v");
    scene.expect(&[(1, "[[s [[1-2 [f v]]]]]"), (2, "[[s [[1-2 [f v]]]]]")]);
    assert_eq!(scene.ask(1, "XREAD BLOCK 0 STREAMS s 1-1").as_deref(), Some("[[s [[1-2 [f v]]]]]"));
    scene.waits(1, "XREAD BLOCK 10 STREAMS s $");
    scene.run("XADD s MAXLEN 1 1-3 f v");
    scene.expect(&[(1, "[[s [[1-3 [f v]]]]]")]);
    scene.waits(1, "XREAD BLOCK 10 STREAMS s $");
    scene.sleep(10);
    scene.expect(&[(1, "nil")]);
    assert_eq!(scene.run("XREAD BLOCK 10 STREAMS s $"), "nil", "it may not wait");
}

#[test]
fn groups_give_new_entries_to_the_first_and_tell_all_when_they_go() {
    let mut scene = Scene::new();
    scene.run("XGROUP CREATE s g $ MKSTREAM");
    for client in 1..=3 {
        scene.waits(client, &format!("XREADGROUP GROUP g c{client} BLOCK 0 STREAMS s >"));
    }
    scene.run("XADD s 1-1 f v");
    scene.expect(&[(1, "[[s [[1-1 [f v]]]]]")]);
    scene.run("XGROUP DESTROY s g");
    let gone = "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
    scene.expect(&[(2, gone), (3, gone)]);
    for line in ["DEL s", "SET s x", "RENAME s t", "FLUSHALL", "EXPIRE s -1"] {
        scene.run("DEL s");
        scene.run("XGROUP CREATE s g $ MKSTREAM");
        scene.waits(1, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
        scene.run(line);
        let heard = scene.heard();
        assert!(heard.len() == 1 && heard[0].1.starts_with("-"), "{line}: {heard:?}");
        scene.run("FLUSHALL");
    }
}

#[test]
fn a_waiter_is_taken_away_for_a_reason() {
    let mut scene = Scene::new();
    for client in 1..=3 {
        scene.waits(client, "BLPOP a 0");
    }
    let reasons: [&[u8]; 4] = [b"TIMEOUT", b"ERROR", b"GONE", b"GONE"];
    let were_there: Vec<String> =
        (1..=4).zip(reasons).map(|(client, reason)| scene.unblock(client, reason)).collect();
    assert_eq!(were_there, ["1", "1", "1", "0"]);
    scene.expect(&[(1, "nil"), (2, "-UNBLOCKED client unblocked via CLIENT UNBLOCK"), (3, "nil")]);
    scene.run("RPUSH a x");
    assert_eq!(scene.run("LLEN a"), "1");
    assert_eq!(scene.machine.keyspace.memory(), {
        let mut other = Machine::default();
        other.run("RPUSH a x");
        other.keyspace.memory()
    });
}

#[test]
fn under_a_token_the_same_element_is_given_again() {
    let mut scene = Scene::new();
    scene.waits(1, "ONCE t BLPOP a 0");
    scene.waits(2, "BLPOP a 0");
    // Through another node, while it still waits: it keeps its place.
    scene.waits(31, "ONCE t BLPOP a 0");
    scene.expect(&[(1, "-ERR it was sent again under its token, and waits on another connection")]);
    assert_eq!(
        scene.ask(4, "ONCE t BLPOP b 0").as_deref(),
        Some("-ERR the token was used before, for another command")
    );
    assert_eq!(scene.run("ONCE t BLPOP a 0"), "-ERR the command under this token is waiting");
    scene.run("RPUSH a x y");
    scene.expect(&[(31, "[a x]"), (2, "[a y]")]);
    scene.run("RPUSH a z");
    assert_eq!(scene.ask(5, "ONCE t BLPOP a 0").as_deref(), Some("[a x]"));
    // A client that has gone has heard nothing.
    scene.run("DEL a");
    scene.waits(1, "ONCE u BLPOP a 0");
    scene.unblock(1, b"GONE");
    scene.waits(1, "ONCE u BLPOP a 1");
    scene.sleep(1_000);
    assert_eq!(scene.ask(1, "ONCE u BLPOP a 1").as_deref(), Some("nil"));
}

#[test]
fn nothing_is_given_to_whom_nobody_can_tell() {
    let mut scene = Scene::new();
    scene.waits(1, "BLPOP a 0");
    scene.waits(11, "BLPOP a 0");
    scene.machine.keyspace.absent(&|_| true);
    // The coordinator of this one speaks.
    scene.waits(12, "BLPOP b 0");
    scene.run("RPUSH a x y");
    scene.expect(&[(11, "[a x]")]);
    // It comes back, and has kept its place.
    scene.waits(2, "BLPOP a 0");
    scene.expect(&[(1, "[a y]")]);
    scene.machine.keyspace.absent(&|coordinator| coordinator == Incarnation(0));
    scene.sleep(9_999);
    scene.expect(&[]);
    scene.sleep(1);
    scene.expect(&[(2, "again")]);
    scene.machine.keyspace.coordinators_end(&|coordinator| coordinator != Incarnation(1));
    scene.hear();
    scene.expect(&[(12, "again")]);
}

/// Found by the simulator: it waited although there was something, and who came later got it.
#[test]
fn who_is_sent_again_through_another_node_gets_what_came_while_the_first_one_was_absent() {
    let mut scene = Scene::new();
    scene.waits(1, "ONCE t BLPOP a 0");
    scene.machine.keyspace.absent(&|_| true);
    scene.run("RPUSH a x");
    scene.expect(&[]);
    scene.waits(11, "ONCE t BLPOP a 0");
    let elsewhere = "-ERR it was sent again under its token, and waits on another connection";
    scene.expect(&[(1, elsewhere), (11, "[a x]")]);
    assert_eq!(scene.run("LLEN a"), "0");
}

#[test]
fn whoever_takes_the_place_of_an_absent_one_gets_what_came_meanwhile() {
    let mut scene = Scene::new();
    scene.waits(11, "ONCE token-1 BLPOP list 0");
    scene.machine.keyspace.absent(&|coordinator| coordinator == Incarnation(1));
    assert_eq!(scene.run("RPUSH list a"), "1");
    scene.expect(&[]);
    // The same line, through another node.
    scene.waits(21, "ONCE token-1 BLPOP list 0");
    assert!(scene.heard().contains(&(21, "[list a]".to_owned())), "nobody who comes later is served first");
    scene.waits(31, "BLPOP list 0");
}

#[test]
fn there_is_a_limit() {
    let mut scene = Scene::new();
    let long = "x".repeat(1 << 20);
    let error = scene.ask(1, &format!("BLPOP {long} 0")).unwrap();
    assert!(error.starts_with("-ERR the command is too large"), "{error}");
    let long = "x".repeat(300 << 10);
    let refused = (1..).find(|client| scene.ask(*client, &format!("BLPOP {long} 0")).is_some()).unwrap();
    assert!((60..100).contains(&refused), "{refused}");
    assert!(scene.machine.keyspace.memory() <= 64 << 20);
    let mut scene = Scene::new();
    scene.machine.context.memory_max = 400_000;
    let refused = (1..).find(|client| scene.ask(*client, "BLPOP a 0").is_some()).unwrap();
    assert!((100..200).contains(&refused), "{refused}");
}

#[test]
fn an_image_has_those_who_wait() {
    let mut scene = Scene::new();
    scene.run("XGROUP CREATE s g $ MKSTREAM");
    scene.waits(1, "BLPOP a b 0.5");
    scene.waits(2, "ONCE t BLMOVE a c LEFT RIGHT 0");
    scene.waits(13, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
    scene.waits(14, "BZPOPMIN z 0");
    scene.machine.keyspace.absent(&|coordinator| coordinator == Incarnation(1));
    let (memory, digest) = (scene.machine.keyspace.memory(), scene.machine.keyspace.digest());
    scene.machine.keyspace.snapshot_begin();
    scene.waits(5, "BLPOP a 0");
    scene.run("RPUSH a x");
    let image = scene.machine.read_image(100);
    for piece in [1, 7, 1 << 20] {
        let mut copy = Machine::default();
        image.chunks(piece).for_each(|piece| copy.keyspace.restore(piece).unwrap());
        copy.keyspace.restore_finish().unwrap();
        assert_eq!((copy.keyspace.memory(), copy.keyspace.digest()), (memory, digest));
        let mut again = Scene {
            machine: copy,
            sequence: 100,
            clients: (2..=6).zip([1, 2, 13, 14]).collect(),
            heard: vec![],
        };
        again.machine.context = scene.machine.context;
        again.run("RPUSH a x y");
        again.expect(&[(1, "[a x]"), (2, "y")]);
        again.run("ZADD z 1 m");
        again.expect(&[]);
        assert_eq!(again.run("LRANGE c 0 -1"), "[y]");
    }
    // Nothing that is cut or changed is taken for an image.
    for at in (0..image.len()).step_by(3) {
        let mut broken = image.clone();
        broken[at] ^= 0x55;
        let mut copy = Machine::default();
        let taken = copy.keyspace.restore(&broken).and_then(|()| copy.keyspace.restore_finish());
        assert!(taken.is_err(), "byte {at}");
    }
}

#[test]
fn scripts_do_not_wait_and_serve_those_who_do() {
    let mut scene = Scene::new();
    assert_eq!(scene.run("EVAL return(redis.call('BLPOP','a',0)) 0"), "nil");
    assert_eq!(scene.run("EVAL return(redis.call('XREAD','BLOCK',0,'STREAMS','x','$')) 0"), "nil");
    scene.waits(1, "BLPOP a 0");
    scene.waits(2, "BLPOP a 0");
    // Not before it has come to its end.
    let script = "redis.call('RPUSH','a','x','y','z');return(redis.call('LPOP','a'))";
    assert_eq!(scene.run(&format!("EVAL {script} 0")), "x");
    scene.expect(&[(1, "[a y]"), (2, "[a z]")]);
    // What was undone was never there.
    scene.waits(1, "BLPOP a 0");
    let stopped = scene.run("EVAL redis.call('RPUSH','a','x')while(true)do--[[]]end 0");
    assert!(stopped.starts_with("-ERR"), "{stopped}");
    scene.expect(&[]);
    assert_eq!(scene.run("EXISTS a"), "0");
    scene.run("RPUSH a x");
    scene.expect(&[(1, "[a x]")]);
}
