//! The shape of an answer: what is the same whoever answers. Names of fields and errors stay; other texts and
//! numbers become words.

use std::net::SocketAddr;

use onecopy_harness::{PATIENCE, try_run, wait};
use redis::{Connection, ProtocolVersion, RedisConnectionInfo, Value};

/// A connection that speaks this version of the protocol.
pub fn connect(address: SocketAddr, protocol: ProtocolVersion) -> Connection {
    let info: redis::ConnectionInfo = format!("redis://{address}/").parse().expect("an address");
    let settings = RedisConnectionInfo::default().set_protocol(protocol);
    let client = redis::Client::open(info.set_redis_settings(settings)).expect("a client");
    wait("a connection", PATIENCE, || client.get_connection().ok())
}

/// The shape of what a line is answered.
pub fn shape(client: &mut Connection, line: &str) -> String {
    match try_run::<Value>(client, line) {
        Ok(value) => of_value(&value),
        Err(error) => format!("-{error}"),
    }
}

fn of_value(value: &Value) -> String {
    let all = |values: &[Value]| values.iter().map(of_value).collect::<Vec<_>>().join(" ");
    match value {
        Value::Array(values) => format!("[{}]", all(values)),
        Value::Map(pairs) => {
            let pair = |(key, value): &(Value, Value)| format!("{}: {}", of_value(key), of_value(value));
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Int(number) if *number <= 16_384 => format!("int {}", if *number < 2 { *number } else { 2 }),
        Value::Int(_) => "int 2".to_owned(),
        Value::BulkString(bytes) => of_text(&String::from_utf8_lossy(bytes)),
        Value::VerbatimString { text, .. } => format!("verbatim {}", of_text(text)),
        Value::SimpleString(text) => format!("simple {}", of_text(text)),
        other => format!("{other:?}"),
    }
}

/// A word that is the name of a field, or what kind of text it is.
fn of_text(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() > 1 {
        // In whichever order.
        let mut shapes: Vec<String> = lines.into_iter().map(of_text).collect();
        shapes.sort();
        return format!("({})", shapes.join("; "));
    }
    let is_id = |word: &str| word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words: Vec<String> = text
        .split(' ')
        .map(|word| match word {
            word if is_id(word) => "id".to_owned(),
            word if word.parse::<f64>().is_ok() => "number".to_owned(),
            word if word.starts_with("127.0.0.1:") => {
                if word.contains('@') {
                    "address@bus".to_owned()
                } else {
                    "address".to_owned()
                }
            }
            word => word.to_owned(),
        })
        .collect();
    words.join(" ")
}
