//! Money is neither made nor lost: transfers between accounts are executed as a whole or not at all, and an
//! audit sees no half of one. The sum of all accounts is always 0. (The bank test of Jepsen; atomicity and
//! isolation as in Gray, "The Transaction Concept", 1981, section 2.) It looks at nothing but the answer.

use crate::client::OpId;
use crate::model::balances;
use crate::trace::violated;

/// Looks at the answer to an audit.
pub fn check(op: OpId, answer: &[u8]) {
    let sum = balances(answer).map(|balances| balances.iter().sum::<i64>());
    if sum != Some(0) {
        let answer = String::from_utf8_lossy(answer);
        violated("accounts", format!("operation {op} sees accounts with the sum {sum:?}: {answer:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn half_a_transfer_is_caught() {
        assert_eq!(caught(|| check(0, b"$-1\r\n$2\r\n-7\r\n$1\r\n7\r\n$1\r\n0\r\n")), None);
        assert_eq!(caught(|| check(0, b"$-1\r\n$2\r\n-7\r\n$-1\r\n$1\r\n0\r\n")), Some("accounts"));
        assert_eq!(caught(|| check(0, b"-ERR\r\n")), Some("accounts"));
    }
}
