use crate::support::{Machine, expect};

#[test]
fn groups_are_made_and_moved() {
    expect(
        "
        XGROUP CREATE s g $          => -ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
        XGROUP CREATE s g $ MKSTREAM => OK
        XGROUP CREATE s g $          => -BUSYGROUP Consumer Group name already exists
        XGROUP CREATE s h 5 ENTRIESREAD -2 => -ERR value for ENTRIESREAD must be positive or -1
        XGROUP CREATE s h 5 FOO      => -ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.
        XGROUP CREATE s h            => -ERR wrong number of arguments for 'xgroup|create' command
        XGROUP FOO s h               => -ERR unknown subcommand 'FOO'. Try XGROUP HELP.
        XGROUP CREATECONSUMER s g c  => :1
        XGROUP CREATECONSUMER s g c  => :0
        XGROUP CREATECONSUMER s h c  => -NOGROUP No such consumer group 'h' for key name 's'
        XGROUP SETID s g 3-0 ENTRIESREAD 7 => OK
        XGROUP SETID s h 3-0         => -NOGROUP No such consumer group 'h' for key name 's'
        XINFO GROUPS s               => [[name g consumers :1 pending :0 last-delivered-id 3-0 entries-read :7 lag :0]]
        XGROUP DELCONSUMER s g c     => :0
        XGROUP DELCONSUMER s g x     => :0
        XGROUP DESTROY s g           => :1
        XGROUP DESTROY s g           => :0
        XLEN s                       => :0
        EXISTS s                     => :1
        XINFO GROUPS s               => []
        XINFO CONSUMERS s g          => -NOGROUP No such consumer group 'g' for key name 's'
        XINFO GROUPS x               => -ERR no such key
        XINFO FOO s                  => -ERR unknown subcommand 'FOO'. Try XINFO HELP.
        XINFO STREAM s FULL COUNT    => -ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.
        ",
    );
}

/// A stream with a group and three entries.
fn three() -> Machine {
    let mut machine = Machine::default();
    machine.expect(
        "
        XADD s 1-0 a 1               => 1-0
        XADD s 2-0 a 2               => 2-0
        XADD s 3-0 a 3               => 3-0
        XGROUP CREATE s g 0          => OK
        ",
    );
    machine
}

#[test]
fn a_group_is_given_each_entry_once() {
    let mut machine = three();
    machine.expect(
        "
        XREADGROUP GROUP g one COUNT 2 STREAMS s > => [[s [[1-0 [a 1]] [2-0 [a 2]]]]]
        XREADGROUP GROUP g two STREAMS s > => [[s [[3-0 [a 3]]]]]
        XREADGROUP GROUP g two STREAMS s > => nil
        XREADGROUP GROUP g two BLOCK 5 STREAMS s > => nil
        XREADGROUP GROUP g one STREAMS s 0 => [[s [[1-0 [a 1]] [2-0 [a 2]]]]]
        XREADGROUP GROUP g one STREAMS s 1-0 => [[s [[2-0 [a 2]]]]]
        XREADGROUP GROUP g new STREAMS s 0 => [[s []]]
        XPENDING s g                 => [:3 1-0 3-0 [[one 2] [two 1]]]
        XDEL s 2-0                   => :1
        XREADGROUP GROUP g one STREAMS s 0 => [[s [[1-0 [a 1]] [2-0 nil]]]]
        XACK s g 1-0 2-0 9-0         => :2
        XACK s g x                   => -ERR Invalid stream ID specified as stream command argument
        XACK s none 1-0              => :0
        XPENDING s g                 => [:1 3-0 3-0 [[two 1]]]
        XGROUP DELCONSUMER s g two   => :1
        XPENDING s g                 => [:0 nil nil nil]
        XREADGROUP GROUP none c STREAMS s > => -NOGROUP No such key 's' or consumer group 'none' in XREADGROUP with GROUP option
        XREADGROUP GROUP g c STREAMS x > => -NOGROUP No such key 'x' or consumer group 'g' in XREADGROUP with GROUP option
        XREADGROUP GROUP g c STREAMS s $ => -ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.
        XREADGROUP COUNT 1 NOACK STREAMS s t > > => -ERR Missing GROUP option for XREADGROUP
        XREADGROUP GROUP g c STREAMS s s > => -ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.
        ",
    );
    // The same stream twice: what is new is new once, and there at once.
    three().expect(
        "
        XREADGROUP GROUP g c COUNT 2 STREAMS s s s > > 0 => [[s [[1-0 [a 1]] [2-0 [a 2]]]] [s [[3-0 [a 3]]]] [s [[1-0 [a 1]] [2-0 [a 2]]]]]
        ",
    );
    three().expect(
        "
        XREADGROUP GROUP g c NOACK STREAMS s > => [[s [[1-0 [a 1]] [2-0 [a 2]] [3-0 [a 3]]]]]
        XPENDING s g                 => [:0 nil nil nil]
        XINFO CONSUMERS s g          => [[name c pending :0 idle :0 inactive :-1]]
        ",
    );
}

#[test]
fn whoever_asks_is_a_consumer() {
    let mut machine = three();
    machine.expect("XREADGROUP GROUP g a STREAMS s > => [[s [[1-0 [a 1]] [2-0 [a 2]] [3-0 [a 3]]]]]");
    machine.sleep(50);
    machine.expect(
        "
        XREADGROUP GROUP g b STREAMS s > => nil
        XCLAIM s g c 1000 1-0        => []
        XAUTOCLAIM s g d 1000 0      => [0-0 [] []]
        XINFO CONSUMERS s g          => [[name a pending :3 idle :50 inactive :50] [name b pending :0 idle :0 inactive :-1] [name c pending :0 idle :0 inactive :-1] [name d pending :0 idle :0 inactive :-1]]
        XREADGROUP GROUP g a STREAMS s > => nil
        XREADGROUP GROUP g a COUNT 1 STREAMS s 0 => [[s [[1-0 [a 1]]]]]
        XINFO STREAM s FULL COUNT 1  => [length :3 radix-tree-keys :1 radix-tree-nodes :2 last-generated-id 3-0 max-deleted-entry-id 0-0 entries-added :3 recorded-first-entry-id 1-0 entries [[1-0 [a 1]]] groups [[name g last-delivered-id 3-0 entries-read :3 lag :0 pel-count :3 pending [[1-0 a :1000050 :2]] consumers [[name a seen-time :1000050 active-time :1000000 pel-count :3 pending [[1-0 :1000050 :2]]] [name b seen-time :1000050 active-time :-1 pel-count :0 pending []] [name c seen-time :1000050 active-time :-1 pel-count :0 pending []] [name d seen-time :1000050 active-time :-1 pel-count :0 pending []]]]]]
        ",
    );
}

#[test]
fn what_is_pending_is_claimed() {
    let mut machine = three();
    machine.expect("XREADGROUP GROUP g a STREAMS s > => [[s [[1-0 [a 1]] [2-0 [a 2]] [3-0 [a 3]]]]]");
    machine.sleep(100);
    machine.expect(
        "
        XPENDING s g - + 10          => [[1-0 a :100 :1] [2-0 a :100 :1] [3-0 a :100 :1]]
        XPENDING s g IDLE 101 - + 10 => []
        XPENDING s g (1-0 + 1 a      => [[2-0 a :100 :1]]
        XPENDING s g - + 10 nobody   => []
        XPENDING s g - +             => -ERR syntax error
        XPENDING s none              => -NOGROUP No such key 's' or consumer group 'none'
        XCLAIM s g b 100 1-0 9-0     => [[1-0 [a 1]]]
        XCLAIM s g b 100 1-0         => []
        XCLAIM s g b 0 2-0 JUSTID IDLE 70 => [2-0]
        XCLAIM s g b 0 3-0 RETRYCOUNT 9 TIME 999999 => [[3-0 [a 3]]]
        XPENDING s g - + 10          => [[1-0 b :0 :2] [2-0 b :70 :1] [3-0 b :101 :9]]
        XCLAIM s g b 0 1-0 FOO       => -ERR Unrecognized XCLAIM option 'FOO'
        XCLAIM s g b x 1-0           => -ERR Invalid min-idle-time argument for XCLAIM
        XCLAIM s g b 0 1-0 IDLE x    => -ERR Invalid IDLE option argument for XCLAIM
        XACK s g 1-0                 => :1
        XCLAIM s g c 0 1-0           => []
        XCLAIM s g c 0 1-0 1-0 FORCE JUSTID => [1-0 1-0]
        XDEL s 2-0                   => :1
        XCLAIM s g c 0 2-0           => []
        XPENDING s g                 => [:2 1-0 3-0 [[b 1] [c 1]]]
        XCLAIM s g c 0 1-0 LASTID 7-0 JUSTID => [1-0]
        XINFO GROUPS s               => [[name g consumers :3 pending :2 last-delivered-id 7-0 entries-read :3 lag :0]]
        ",
    );
}

#[test]
fn what_is_pending_for_long_is_claimed_by_itself() {
    let mut machine = three();
    machine.expect("XREADGROUP GROUP g a STREAMS s > => [[s [[1-0 [a 1]] [2-0 [a 2]] [3-0 [a 3]]]]]");
    machine.sleep(100);
    machine.expect(
        "
        XDEL s 2-0                   => :1
        XAUTOCLAIM s g b 100 0 COUNT 1 => [2-0 [[1-0 [a 1]]] []]
        XAUTOCLAIM s g b 100 2-0 COUNT 1 => [3-0 [] [2-0]]
        XAUTOCLAIM s g b 100 (2-0 JUSTID => [0-0 [3-0] []]
        XAUTOCLAIM s g b 100 0       => [0-0 [] []]
        XAUTOCLAIM s g b 0 0 COUNT 0 => -ERR COUNT must be > 0
        XAUTOCLAIM s g b 0 x         => -ERR Invalid stream ID specified as stream command argument
        XAUTOCLAIM s g b x 0         => -ERR Invalid min-idle-time argument for XAUTOCLAIM
        XAUTOCLAIM s none b 0 0      => -NOGROUP No such key 's' or consumer group 'none'
        XPENDING s g - + 10          => [[1-0 b :0 :2] [3-0 b :0 :1]]
        ",
    );
}

#[test]
fn how_far_a_group_is_behind_is_known_or_not() {
    let lag = |machine: &mut Machine| {
        let groups = machine.run("XINFO GROUPS s");
        let (_, lag) = groups.split_once("lag ").expect("a lag");
        lag.trim_end_matches(']').to_owned()
    };
    let mut machine = three();
    assert_eq!(lag(&mut machine), ":3");
    machine.run("XREADGROUP GROUP g a COUNT 1 STREAMS s >");
    assert_eq!(lag(&mut machine), ":2");
    machine.run("XDEL s 2-0");
    assert_eq!(lag(&mut machine), "nil", "there is a gap before the group");
    machine.run("XREADGROUP GROUP g a COUNT 1 STREAMS s >");
    assert_eq!(lag(&mut machine), ":1", "Redis counts on as if nothing was there");
    machine.expect("XADD s 4-0 a 4 => 4-0\nXGROUP SETID s g 1-0 => OK");
    assert_eq!(lag(&mut machine), "nil");
    machine.run("XGROUP SETID s g $");
    assert_eq!(lag(&mut machine), ":0");
}

#[test]
fn a_group_under_a_token_answers_as_without() {
    for version in [onecopy_resp::Version::Two, onecopy_resp::Version::Three] {
        let mut machine = three();
        machine.version = version;
        let mut plain = three();
        plain.version = version;
        let expected = plain.run("XREADGROUP GROUP g c STREAMS s >");
        for _ in 0..2 {
            assert_eq!(machine.run("ONCE t XREADGROUP GROUP g c STREAMS s >"), expected);
        }
        machine.expect("XREADGROUP GROUP g c STREAMS s > => nil");
    }
}

#[test]
fn a_full_memory_takes_no_entries_and_no_groups() {
    let mut machine = three();
    machine.context.memory_max = 1;
    let full = "-OOM command not allowed when used memory > 'maxmemory'.";
    for line in ["XADD s * a 1", "XGROUP CREATE s h 0", "XGROUP CREATECONSUMER s g c", "XSETID s 9-0"] {
        assert_eq!(machine.run(line), full, "{line}");
    }
    machine.expect("XDEL s 1-0 => :1\nXTRIM s MAXLEN 1 => :1\nXGROUP DESTROY s g => :1\nDEL s => :1");
}
