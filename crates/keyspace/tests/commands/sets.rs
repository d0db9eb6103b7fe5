use onecopy_resp::Version;

use crate::support::{Machine, expect};

#[test]
fn members() {
    expect(
        "
        SADD s a b c a               => :3
        SMEMBERS s                   => [a b c]
        SREM s a x                   => :1
        SMEMBERS s                   => [c b]
        SISMEMBER s b                => :1
        SMISMEMBER s b x c           => [:1 :0 :1]
        SMISMEMBER x b               => [:0]
        SCARD s                      => :2
        SMOVE s t b                  => :1
        SMOVE s t b                  => :0
        SMOVE x t b                  => :0
        SMOVE t t b                  => :1
        SPOP t                       => b
        SPOP t                       => nil
        SPOP t 3                     => []
        SPOP s -1                    => -ERR value is out of range, must be positive
        SPOP s 5                     => [c]
        EXISTS s                     => :0
        SADD i 1 2 3                 => :3
        OBJECT ENCODING i            => intset
        SADD i x                     => :1
        OBJECT ENCODING i            => listpack
        SRANDMEMBER x                => nil
        SRANDMEMBER x 3              => []
        ",
    );
    let mut machine = Machine { version: Version::Three, ..Machine::default() };
    machine.expect("SADD s a b => :2\nSMEMBERS s => ~[a b]\nSINTER s s => ~[a b]\nSISMEMBER s a => :1");
}

#[test]
fn random_members_are_fair_and_different() {
    let mut machine = Machine::default();
    machine.expect("SADD s a b c d e f g h => :8");
    let mut times = std::collections::BTreeMap::new();
    for _ in 0..800 {
        *times.entry(machine.run("SRANDMEMBER s")).or_insert(0) += 1;
        let reply = machine.run("SRANDMEMBER s 5");
        let different: std::collections::BTreeSet<_> = reply[1..reply.len() - 1].split(' ').collect();
        assert_eq!(different.len(), 5);
        assert_eq!(machine.run("SRANDMEMBER s -5").split(' ').count(), 5);
    }
    assert_eq!(times.len(), 8);
    assert!(times.values().all(|count| (50..150).contains(count)), "{times:?}");
}

#[test]
fn algebra() {
    expect(
        "
        SADD a 1 2 3 4               => :4
        SADD b 3 4 5                 => :3
        SINTER a b                   => [3 4]
        SUNION a b                   => [1 2 3 4 5]
        SDIFF a b                    => [1 2]
        SDIFF x a                    => []
        SINTER a x                   => []
        SINTERSTORE c a b            => :2
        SUNIONSTORE c a b            => :5
        SDIFFSTORE c a b             => :2
        SMEMBERS c                   => [1 2]
        SDIFFSTORE c a a             => :0
        EXISTS c                     => :0
        SINTERCARD 2 a b             => :2
        SINTERCARD 2 a b LIMIT 1     => :1
        SINTERCARD 0 a               => -ERR numkeys should be greater than 0
        SINTERCARD 3 a b             => -ERR Number of keys can't be greater than number of args
        SINTERCARD 1 a LIMIT -1      => -ERR LIMIT can't be negative
        SINTERCARD 1 a b             => -ERR syntax error
        ",
    );
}
