use crate::support::{Machine, expect};

#[test]
fn entries_are_added_with_ids() {
    let mut machine = Machine::default();
    machine.expect(
        "
        XADD s * a 1                 => 1000000-0
        XADD s * a 2                 => 1000000-1
        XADD s 1000000-* a 3         => 1000000-2
        XADD s 1000005 a 4 b 5       => 1000005-0
        XADD s 1000005-* a 6         => 1000005-1
        XADD s 7-* a 6               => -ERR The ID specified in XADD is equal or smaller than the target stream top item
        XADD s 1000005-1 a 6         => -ERR The ID specified in XADD is equal or smaller than the target stream top item
        XADD s 0-0 a 6               => -ERR The ID specified in XADD must be greater than 0-0
        XADD s + a 6                 => -ERR Invalid stream ID specified as stream command argument
        XADD s * a                   => -ERR wrong number of arguments for 'xadd' command
        XADD s * a 1 b               => -ERR wrong number of arguments for 'xadd' command
        XADD s MAXLEN 1 *            => -ERR wrong number of arguments for 'xadd' command
        XADD x NOMKSTREAM * a 1      => nil
        EXISTS x                     => :0
        XLEN s                       => :5
        XLEN x                       => :0
        XRANGE s - +                 => [[1000000-0 [a 1]] [1000000-1 [a 2]] [1000000-2 [a 3]] [1000005-0 [a 4 b 5]] [1000005-1 [a 6]]]
        TYPE s                       => stream
        OBJECT ENCODING s            => stream
        XADD s 18446744073709551615-18446744073709551615 a 1 => 18446744073709551615-18446744073709551615
        XADD s * a 1                 => -ERR The stream has exhausted the last possible ID, unable to add more items
        ",
    );
    machine.sleep(10);
    machine.expect("XADD t 0-* a 1 => 0-1\nXADD t * a 2 => 1000010-0");
}

#[test]
fn ranges() {
    expect(
        "
        XADD s 1-1 a 1               => 1-1
        XADD s 1-2 a 2               => 1-2
        XADD s 2-0 a 3               => 2-0
        XADD s 3-0 a 4               => 3-0
        XRANGE s 1 1                 => [[1-1 [a 1]] [1-2 [a 2]]]
        XRANGE s (1-1 (3             => [[1-2 [a 2]] [2-0 [a 3]] [3-0 [a 4]]]
        XRANGE s (1-1 (3-0           => [[1-2 [a 2]] [2-0 [a 3]]]
        XRANGE s 2 + COUNT 1         => [[2-0 [a 3]]]
        XRANGE s 2 + COUNT -5        => nil
        XRANGE s 3 2                 => []
        XRANGE x - +                 => []
        XREVRANGE s + - COUNT 2      => [[3-0 [a 4]] [2-0 [a 3]]]
        XREVRANGE s (2-0 1-2         => [[1-2 [a 2]]]
        XRANGE s - + COUNT           => -ERR syntax error
        XRANGE s - + COUNT x         => -ERR value is not an integer or out of range
        XRANGE s (18446744073709551615-18446744073709551615 + => -ERR invalid start ID for the interval
        XRANGE s - (0-0              => -ERR invalid end ID for the interval
        XRANGE s x +                 => -ERR Invalid stream ID specified as stream command argument
        ",
    );
}

#[test]
fn entries_are_deleted_and_trimmed() {
    let mut machine = Machine::default();
    for number in 1..=250 {
        machine.run(&format!("XADD s {number}-0 a 1"));
    }
    machine.expect(
        "
        XDEL s 3-0 4-0 4-0 5-1       => :2
        XDEL s 3-0 x                 => -ERR Invalid stream ID specified as stream command argument
        XDEL x x                     => :0
        XTRIM s MAXLEN ~ 200         => :0
        XTRIM s MAXLEN ~ 150         => :98
        XTRIM s MAXLEN ~ 10 LIMIT 50 => :0
        XTRIM s MAXLEN = 140         => :10
        XTRIM s MINID 120            => :9
        XRANGE s - + COUNT 1         => [[120-0 [a 1]]]
        XTRIM s MINID ~ 201          => :81
        XADD s MAXLEN 5 251-0 a 1    => 251-0
        XLEN s                       => :5
        XTRIM s MAXLEN 0             => :5
        EXISTS s                     => :1
        XLEN s                       => :0
        XADD s MAXLEN 0 252-0 a 1    => 252-0
        XLEN s                       => :0
        XTRIM s MAXLEN -1            => -ERR The MAXLEN argument must be >= 0.
        XTRIM s MAXLEN 1 LIMIT 5     => -ERR syntax error, LIMIT cannot be used without the special ~ option
        XTRIM s MAXLEN ~ 1 LIMIT -5  => -ERR The LIMIT argument must be >= 0.
        XTRIM s MAXLEN 1 MINID 5     => -ERR syntax error, MAXLEN and MINID options at the same time are not compatible
        XTRIM s LIMIT 5 LIMIT 6      => -ERR syntax error, LIMIT cannot be used without specifying a trimming strategy
        XTRIM s MINID x              => -ERR Invalid stream ID specified as stream command argument
        XTRIM s FOO 1                => -ERR syntax error
        XINFO STREAM s               => [length :0 radix-tree-keys :0 radix-tree-nodes :1 last-generated-id 252-0 max-deleted-entry-id 4-0 entries-added :252 recorded-first-entry-id 0-0 groups :0 first-entry nil last-entry nil]
        DEL s                        => :1
        ",
    );
}

#[test]
fn the_last_id_is_set() {
    expect(
        "
        XSETID s 5-0                 => -ERR no such key
        XADD s 3-0 a 1               => 3-0
        XADD s 4-0 a 1               => 4-0
        XSETID s 3-5                 => -ERR The ID specified in XSETID is smaller than the target stream top item
        XSETID s 9-0 ENTRIESADDED 1  => -ERR The entries_added specified in XSETID is smaller than the target stream length
        XSETID s 9-0 ENTRIESADDED -1 => -ERR entries_added must be positive
        XSETID s 9-0 MAXDELETEDID 10 => -ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id
        XSETID s 9-0 ENTRIESADDED    => -ERR syntax error
        XSETID s 9-0 ENTRIESADDED 77 MAXDELETEDID 8-8 => OK
        XSETID s 8-0                 => -ERR The ID specified in XSETID is smaller than current max_deleted_entry_id
        XADD s 8-9 a 1               => -ERR The ID specified in XADD is equal or smaller than the target stream top item
        XADD s 9-1 a 1               => 9-1
        XINFO STREAM s               => [length :3 radix-tree-keys :1 radix-tree-nodes :2 last-generated-id 9-1 max-deleted-entry-id 8-8 entries-added :78 recorded-first-entry-id 3-0 groups :0 first-entry [3-0 [a 1]] last-entry [9-1 [a 1]]]
        ",
    );
}

#[test]
fn streams_are_read_from_ids_on() {
    let table = "
        XADD s 1-0 a 1               => 1-0
        XADD s 2-0 a 2               => 2-0
        XADD t 5-0 b 3               => 5-0
        XREAD STREAMS s t x 0 5-0 0  => [[s [[1-0 [a 1]] [2-0 [a 2]]]]]
        XREAD COUNT 1 STREAMS s t 1 0 => [[s [[2-0 [a 2]]]] [t [[5-0 [b 3]]]]]
        XREAD STREAMS s $            => nil
        XREAD BLOCK 0 STREAMS s 1    => [[s [[2-0 [a 2]]]]]
        XREAD BLOCK 0 STREAMS s $    => nil
        XREAD BLOCK x STREAMS s $    => -ERR timeout is not an integer or out of range
        XREAD BLOCK -1 STREAMS s $   => -ERR timeout is negative
        XREAD STREAMS s              => -ERR wrong number of arguments for 'xread' command
        XREAD STREAMS s t 0          => -ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.
        XREAD COUNT 1 s 0            => -ERR syntax error
        XREAD STREAMS s >            => -ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.
        XREAD NOACK STREAMS s 0      => -ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.
        XREAD STREAMS s 18446744073709551615-18446744073709551615 => nil
        ";
    expect(table);
    let mut machine = Machine { version: onecopy_resp::Version::Three, ..Machine::default() };
    machine.expect(
        "
        XADD s 1-0 a 1               => 1-0
        XREAD STREAMS s 0            => {s [[1-0 [a 1]]]}
        XREAD STREAMS s 1            => nil
        ",
    );
}

#[test]
fn whatever_holds_for_keys_holds_for_streams() {
    let mut machine = Machine::default();
    machine.expect(
        "
        XADD s 1-0 a 1               => 1-0
        XGROUP CREATE s g 0          => OK
        XREADGROUP GROUP g c STREAMS s > => [[s [[1-0 [a 1]]]]]
        COPY s t                     => :1
        XACK s g 1-0                 => :1
        XPENDING t g                 => [:1 1-0 1-0 [[c 1]]]
        XADD t 2-0 a 2               => 2-0
        XLEN s                       => :1
        RENAME t u                   => OK
        XLEN u                       => :2
        SCAN 0 COUNT 100 TYPE stream => [0 [s u]]
        EXPIRE u 1                   => :1
        ",
    );
    machine.sleep(1_000);
    machine.expect("XLEN u => :0\nUNLINK s => :1");
    assert_eq!(machine.keyspace.database_sizes().count(), 0);
}

#[test]
fn a_stream_occupies_what_its_entries_do() {
    let mut machine = Machine::default();
    let usage = |machine: &mut Machine| machine.run("MEMORY USAGE s")[1..].parse::<u64>().expect("a number");
    machine.run("XADD s 1-0 field value");
    let one = usage(&mut machine);
    for number in 2..=10_000 {
        machine.run(&format!("XADD s {number}-0 field value"));
    }
    let many = usage(&mut machine);
    assert!(one < 400 && (8 * 10_000..14 * 10_000).contains(&many), "{one}, {many}");
    machine.run("XTRIM s MAXLEN 1");
    assert!(usage(&mut machine) < 400 + 4 * 64, "{}", usage(&mut machine));
}
