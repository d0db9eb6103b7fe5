use onecopy_resp::Version;

use crate::support::Machine;

#[test]
fn what_two_strings_have_in_common() {
    let mut machine = Machine::default();
    machine.expect(
        "
        MSET a ohmytext b mynewtext  => OK
        LCS a b                      => mytext
        LCS b a                      => mytext
        LCS a b LEN                  => :6
        LCS a b IDX                  => [matches [[[:4 :7] [:5 :8]] [[:2 :3] [:0 :1]]] len :6]
        LCS a b IDX MINMATCHLEN 4    => [matches [[[:4 :7] [:5 :8]]] len :6]
        LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN => [matches [[[:4 :7] [:5 :8] :4]] len :6]
        LCS a b idx minmatchlen 5    => [matches [] len :6]
        LCS a b IDX MINMATCHLEN -5 WITHMATCHLEN => [matches [[[:4 :7] [:5 :8] :4] [[:2 :3] [:0 :1] :2]] len :6]
        LCS a b MINMATCHLEN 5        => mytext
        LCS a b LEN WITHMATCHLEN     => :6
        LCS a a IDX                  => [matches [[[:0 :7] [:0 :7]]] len :8]
        LCS a x                      => ''
        LCS x y IDX                  => [matches [] len :0]
        LCS x y LEN                  => :0
        MSET n 12345 m 2945          => OK
        LCS n m                      => 245
        MSET c abcabba d cbabac      => OK
        LCS c d                      => cbba
        LCS d c                      => baba
        LCS a b LEN IDX              => -ERR If you want both the length and indexes, please just use IDX.
        LCS a b MINMATCHLEN          => -ERR syntax error
        LCS a b MINMATCHLEN x        => -ERR value is not an integer or out of range
        LCS a b x                    => -ERR syntax error
        LCS a                        => -ERR wrong number of arguments for 'lcs' command
        RPUSH l x                    => :1
        LCS l a x                    => -ERR The specified keys must contain string values
        LCS a l                      => -ERR The specified keys must contain string values
        ",
    );
    machine.version = Version::Three;
    machine.expect("LCS a b IDX MINMATCHLEN 4 => {matches [[[:4 :7] [:5 :8]]] len :6}");
}

#[test]
fn tables_are_as_large_as_those_of_redis() {
    let mut machine = Machine::default();
    let too_large = "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
    // Each table has 2^27 numbers, or one row more.
    for (first, second) in [(1 << 13, 1 << 14), (1 << 20, 1 << 7), (1, 1 << 27)] {
        let (long, last) = (second - 2, first - 2);
        machine.apply(&[b"DEL".to_vec(), b"a".to_vec(), b"b".to_vec()]);
        machine.run(&format!("SETRANGE b {long} b"));
        if first > 1 {
            machine.run(&format!("SETRANGE a {last} a"));
        }
        let common = first.min(second) - if first == 1 { 1 } else { 2 };
        assert_eq!(machine.run("LCS a b LEN"), format!(":{common}"), "{first} times {second}");
        machine.run("APPEND a x");
        assert_eq!(machine.run("LCS a b LEN"), too_large, "{first} times {second}");
        assert_eq!(machine.run("LCS b a"), too_large, "{first} times {second}");
    }
}
