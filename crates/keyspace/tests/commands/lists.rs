use crate::support::{Machine, expect};

#[test]
fn both_ends() {
    expect(
        "
        RPUSH l a b c                => :3
        LPUSH l z y                  => :5
        LRANGE l 0 -1                => [y z a b c]
        LPUSHX x a                   => :0
        RPUSHX l d                   => :6
        LLEN l                       => :6
        LLEN x                       => :0
        LPOP l                       => y
        RPOP l                       => d
        LPOP l 2                     => [z a]
        LPOP l 0                     => []
        RPOP l 10                    => [c b]
        EXISTS l                     => :0
        LPOP l                       => nil
        LPOP l 1                     => nil
        LPOP l -1                    => -ERR value is out of range, must be positive
        LPOP l 1 2                   => -ERR wrong number of arguments for 'lpop' command
        ",
    );
}

#[test]
fn positions() {
    expect(
        "
        RPUSH l a b c b a            => :5
        LINDEX l 0                   => a
        LINDEX l -2                  => b
        LINDEX l 5                   => nil
        LINDEX l x                   => -ERR value is not an integer or out of range
        LSET l -1 z                  => OK
        LSET l 9 z                   => -ERR index out of range
        LSET x 0 z                   => -ERR no such key
        LRANGE l 1 2                 => [b c]
        LRANGE l 3 1                 => []
        LINSERT l BEFORE b x         => :6
        LINSERT l AFTER z y          => :7
        LINSERT l AFTER nope y       => :-1
        LINSERT x AFTER a y          => :0
        LINSERT l BESIDE a y         => -ERR syntax error
        LRANGE l 0 -1                => [a x b c b z y]
        LPOS l b                     => :2
        LPOS l b RANK -1             => :4
        LPOS l b COUNT 0             => [:2 :4]
        LPOS l b RANK 2 COUNT 5      => [:4]
        LPOS l b MAXLEN 2            => nil
        LPOS l b RANK 0              => -ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
        LPOS l b COUNT -1            => -ERR COUNT can't be negative
        LREM l -1 b                  => :1
        LREM l 0 nope                => :0
        LTRIM l 1 -2                 => OK
        LRANGE l 0 -1                => [x b c z]
        LTRIM l 5 1                  => OK
        EXISTS l                     => :0
        ",
    );
}

#[test]
fn from_list_to_list() {
    expect(
        "
        RPUSH a 1 2 3                => :3
        LMOVE a b LEFT RIGHT         => 1
        RPOPLPUSH a b                => 3
        LRANGE b 0 -1                => [3 1]
        LMOVE a a LEFT RIGHT         => 2
        EXPIRE a 10                  => :1
        RPOPLPUSH a a                => 2
        TTL a                        => :10
        LMOVE x a LEFT LEFT          => nil
        LMOVE a b UP DOWN            => -ERR syntax error
        LMPOP 2 x b LEFT COUNT 5     => [b [3 1]]
        LMPOP 1 x LEFT               => nil
        LMPOP 0 x LEFT               => -ERR numkeys should be greater than 0
        LMPOP 1 x LEFT COUNT 0       => -ERR count should be greater than 0
        LMPOP 3 x LEFT               => -ERR syntax error
        ",
    );
}

#[test]
fn short_lists_are_listpacks_and_long_ones_are_not() {
    let mut machine = Machine::default();
    let mut encoding = |elements: Vec<Vec<u8>>| {
        machine.run("DEL l");
        machine.apply(&[vec![b"RPUSH".to_vec(), b"l".to_vec()], elements].concat());
        machine.run("OBJECT ENCODING l")
    };
    // Seven bytes around all, and two to each: at most 8192.
    assert_eq!(encoding(vec![b"7".to_vec(); 4_092]), "listpack");
    assert_eq!(encoding(vec![b"7".to_vec(); 4_093]), "quicklist");
    // A number of nineteen digits takes ten bytes.
    assert_eq!(encoding(vec![b"1234567890123456789".to_vec(); 818]), "listpack");
    assert_eq!(encoding(vec![b"1234567890123456789".to_vec(); 819]), "quicklist");
    // Five bytes in front of a long one, and two behind it.
    assert_eq!(encoding(vec![vec![b'x'; 8_178]]), "listpack");
    assert_eq!(encoding(vec![vec![b'x'; 8_179]]), "quicklist");
}
