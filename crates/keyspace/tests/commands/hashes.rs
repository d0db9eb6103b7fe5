use onecopy_resp::Version;

use crate::support::{Machine, expect};

#[test]
fn fields() {
    expect(
        "
        HSET h a 1 b 2               => :2
        HSET h a 3 c 4               => :1
        HSET h a                     => -ERR wrong number of arguments for 'hset' command
        HMSET h d 5                  => OK
        HMSET h d                    => -ERR wrong number of arguments for 'hmset' command
        HSETNX h d 6                 => :0
        HSETNX h e 6                 => :1
        HGET h a                     => 3
        HGET h x                     => nil
        HGET x x                     => nil
        HMGET h a x b                => [3 nil 2]
        HMGET x a b                  => [nil nil]
        HLEN h                       => :5
        HEXISTS h a                  => :1
        HEXISTS h x                  => :0
        HSTRLEN h a                  => :1
        HDEL h c d x                 => :2
        HGETALL h                    => [a 3 b 2 e 6]
        HKEYS h                      => [a b e]
        HVALS h                      => [3 2 6]
        HGETALL x                    => []
        OBJECT ENCODING h            => listpack
        HDEL h a b e                 => :3
        EXISTS h                     => :0
        ",
    );
}

#[test]
fn resp3_has_maps() {
    let mut machine = Machine { version: Version::Three, ..Machine::default() };
    machine.expect(
        "
        HSET h a 1 b 2               => :2
        HGETALL h                    => {a 1 b 2}
        HRANDFIELD h 2 WITHVALUES    => [[b 2] [a 1]]
        HGET h x                     => nil
        ",
    );
}

#[test]
fn counters() {
    expect(
        "
        HINCRBY h n 5                => :5
        HINCRBY h n -7               => :-2
        HINCRBY h n x                => -ERR value is not an integer or out of range
        HSET h t text                => :1
        HINCRBY h t 1                => -ERR hash value is not an integer
        HINCRBYFLOAT h t 1           => -ERR hash value is not a float
        HINCRBY h n -9223372036854775808 => -ERR increment or decrement would overflow
        HINCRBYFLOAT h f 0.1         => 0.1
        HINCRBYFLOAT h f 0.2         => 0.3
        HINCRBYFLOAT h f x           => -ERR value is not a valid float
        HINCRBYFLOAT h f inf         => -ERR value is NaN or Infinity
        ",
    );
}

#[test]
fn a_large_hash_is_scanned_in_steps_that_miss_nothing() {
    let mut machine = Machine::default();
    for field in 0..1000 {
        machine.run(&format!("HSET h stays{field} 1 goes{field} 1"));
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut cursor = "0".to_string();
    let mut step = 0;
    while step == 0 || cursor != "0" {
        let reply = machine.run(&format!("HSCAN h {cursor} COUNT 20 MATCH stays*"));
        let (next, found) = reply[1..reply.len() - 2].split_once(" [").expect("two parts");
        let found: Vec<&str> = found.split_whitespace().step_by(2).collect();
        assert!(found.len() <= 20);
        seen.extend(found.into_iter().map(str::to_string));
        cursor = next.to_string();
        machine.run(&format!("HDEL h goes{step} goes{} goes{}", 999 - step, 500 + step));
        machine.run(&format!("HSET h new{step} 1"));
        step += 1;
    }
    assert_eq!(seen.len(), 1000);
}
