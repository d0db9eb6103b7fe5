//! `FAILOVER`: Redis' way to ask for a handover, of the group that holds the selected database. Unlike there,
//! the answer comes when it has happened.

use onecopy_core::GroupId;
use onecopy_views::{Addresses, Table};

use super::Clients;
use crate::operation::{Operated, Operation, OperationOutcome};

/// `FAILOVER [TO host port]`
pub(crate) async fn failover(clients: &Clients, group: GroupId, args: &[Vec<u8>]) -> Result<(), String> {
    let operation = parse(args, group, &clients.knowledge.table())?;
    outcome(clients.operators.ask(operation).await)
}

/// What a client is told of what an operator wanted.
pub(crate) fn outcome(operated: Operated) -> Result<(), String> {
    match operated.outcome {
        OperationOutcome::Done => Ok(()),
        OperationOutcome::Refused => Err(format!("ERR {}", operated.message)),
        OperationOutcome::Unknown => Err(format!("UNKNOWN {}", operated.message)),
    }
}

fn parse(args: &[Vec<u8>], group: GroupId, table: &Table) -> Result<Operation, String> {
    let words: Vec<String> = args.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    match words.as_slice() {
        [] => Ok(Operation::Handover { group: group.0, to: None }),
        [word, host, port] if is(word, "to") => {
            let to = node_at(host, port, table)
                .ok_or_else(|| format!("ERR no node of the cluster takes clients at {host}:{port}"))?;
            Ok(Operation::Handover { group: group.0, to: Some(to) })
        }
        [word] if is(word, "abort") => Err("ERR FAILOVER ABORT is not supported: FAILOVER answers when the handover has \
             happened, and one that does not succeed soon is given up by itself"
            .to_owned()),
        words if words.iter().any(|word| is(word, "force")) => Err("ERR FAILOVER FORCE is not supported: it could lose \
             acknowledged writes. A primary that does not answer is replaced by itself"
            .to_owned()),
        words if words.iter().any(|word| is(word, "timeout")) => {
            Err("ERR FAILOVER TIMEOUT is not supported: a handover that does not succeed soon is given up by itself"
                .to_owned())
        }
        _ => Err("ERR syntax error: FAILOVER [TO host port]".to_owned()),
    }
}

/// The node that takes clients there.
fn node_at(host: &str, port: &str, table: &Table) -> Option<u32> {
    let host = if host.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { host };
    let address = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let at = |addresses: &Addresses| addresses.endpoints.iter().any(|endpoint| endpoint.address == address);
    table.nodes().iter().find(|(_, known)| at(&known.addresses)).map(|(node, _)| node.0)
}

#[cfg(test)]
mod tests {
    use onecopy_views::MAIN;

    use super::*;

    fn refusal(words: &[&str]) -> String {
        let args: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        parse(&args, MAIN, &Table::default()).expect_err("it is refused")
    }

    #[test]
    fn what_is_not_supported_is_refused_with_a_reason() {
        assert!(refusal(&["ABORT"]).contains("given up by itself"));
        assert!(refusal(&["to", "host", "1", "FORCE", "TIMEOUT", "5"]).contains("lose"));
        assert!(refusal(&["TIMEOUT", "5"]).contains("by itself"));
        assert!(refusal(&["TO", "nowhere", "1"]).contains("nowhere:1"));
        assert!(refusal(&["sideways"]).contains("syntax"));
        let operation = Operation::Handover { group: 1, to: None };
        assert_eq!(parse(&[], MAIN, &Table::default()), Ok(operation));
    }
}
