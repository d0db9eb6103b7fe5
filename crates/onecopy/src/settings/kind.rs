//! What values a setting takes: in the file, where they have types, and in flags and variables, where all is
//! text.

use std::net::SocketAddr;

use onecopy_node::config::{Listener, NewDatabase, NodeRole};
use toml::Value;

/// The kind of value that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The id of a node.
    Id,
    /// A number.
    Number,
    /// A number of bytes; `kb`, `mb` and `gb` count as Redis counts them.
    Bytes,
    /// Any text.
    Text,
    /// Text that is not shown.
    Secret,
    /// A path in the file system.
    Path,
    /// An IP address and a port.
    Address,
    /// The same, or nothing.
    OptionalAddress,
    /// A host, which may be a name, and a port; or nothing.
    Reached,
    /// Yes or no.
    Flag,
    /// Listeners for Redis clients.
    Listeners,
    /// Roles of a node.
    Roles,
    /// Ids of nodes.
    Ids,
    /// Ids of nodes, each with its peer address.
    Nodes,
    /// Databases, each with its numbers.
    Databases,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// How flags show the value.
    #[must_use]
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::Number => "NUMBER",
            Self::Bytes => "BYTES",
            Self::Text | Self::Secret => "TEXT",
            Self::Path => "DIRECTORY",
            Self::Address | Self::OptionalAddress => "IP:PORT",
            Self::Reached => "HOST:PORT",
            Self::Flag => "true|false",
            Self::Listeners => "DATABASE@IP:PORT,…",
            Self::Roles => "ROLE,…",
            Self::Ids => "ID,…",
            Self::Nodes => "ID=HOST:PORT,…",
            Self::Databases => "NAME:NUMBER,…",
            Self::Choice(_) => "WORD",
        }
    }

    /// What the values look like, in words.
    fn expected(self) -> String {
        match self {
            Self::Id => "the id of a node: a number from 1 on".to_owned(),
            Self::Number => format!("a number from 0 to {}", u32::MAX),
            Self::Bytes => "a number of bytes, such as 1073741824 or \"1gb\"".to_owned(),
            Self::Text | Self::Secret => "text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Address => "an IP address and a port, such as \"127.0.0.1:6379\"".to_owned(),
            Self::OptionalAddress => {
                "an IP address and a port, such as \"127.0.0.1:26379\", or empty".to_owned()
            }
            Self::Reached => "a host and a port, such as \"db1.example.com:6379\", or empty".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Listeners => "listeners, such as [\"carts:cluster@10.0.0.1:6380\"]".to_owned(),
            Self::Roles => format!("roles out of {}", NodeRole::ALL.map(NodeRole::name).join(", ")),
            Self::Ids => "ids of nodes, such as [1, 2, 3]".to_owned(),
            Self::Nodes => "ids of nodes with their addresses, such as 1 = \"10.0.0.1:7379\"".to_owned(),
            Self::Databases => "databases, such as [\"carts:16\", \"locks:17-20:raft:3\"]".to_owned(),
            Self::Choice(words) => words.join(" or "),
        }
    }

    /// Makes of a value in the configuration file the value that a node takes.
    ///
    /// # Errors
    /// A sentence that says what was expected instead.
    pub fn check(self, value: Value) -> Result<Value, String> {
        let wrong = |value: &Value| format!("{value} is not {}", self.expected());
        let fits = match (self, &value) {
            (Self::Id, Value::Integer(id)) => (1..=i64::from(u32::MAX)).contains(id),
            (Self::Number, Value::Integer(number)) => u32::try_from(*number).is_ok(),
            (Self::Bytes, Value::Integer(number)) => *number >= 0,
            (Self::Bytes, Value::String(text)) => {
                return bytes(text).map(Value::Integer).ok_or_else(|| wrong(&value));
            }
            (Self::Text | Self::Secret | Self::Path, Value::String(_)) => true,
            (Self::Address, Value::String(text)) => text.parse::<SocketAddr>().is_ok(),
            (Self::OptionalAddress, Value::String(text)) => {
                text.is_empty() || text.parse::<SocketAddr>().is_ok()
            }
            (Self::Reached, Value::String(text)) => text.is_empty() || is_reachable(&value),
            (Self::Flag, Value::Boolean(_)) => true,
            (Self::Listeners, Value::Array(listeners)) => {
                let is_one = |text: &str| text.parse::<Listener>().is_ok();
                listeners.iter().all(|listener| listener.as_str().is_some_and(is_one))
            }
            (Self::Choice(words), Value::String(word)) => words.contains(&word.as_str()),
            (Self::Roles, Value::Array(roles)) => {
                roles.iter().all(|role| NodeRole::ALL.iter().any(|known| role.as_str() == Some(known.name())))
            }
            (Self::Databases, Value::Array(databases)) => {
                let is_one = |text: &str| text.parse::<NewDatabase>().is_ok();
                databases.iter().all(|database| database.as_str().is_some_and(is_one))
            }
            (Self::Ids, Value::Array(ids)) => {
                ids.iter().all(|id| id.as_integer().is_some_and(|id| u32::try_from(id).is_ok()))
            }
            (Self::Nodes, Value::Table(nodes)) => {
                nodes.iter().all(|(id, address)| id.parse::<u32>().is_ok() && is_reachable(address))
            }
            _ => false,
        };
        if fits { Ok(value) } else { Err(wrong(&value)) }
    }

    /// Makes of the text of a flag or variable the value that a node takes.
    ///
    /// # Errors
    /// A sentence that says what was expected instead.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let wrong = || format!("{text:?} is not {}", self.expected());
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let value = match self {
            Self::Id | Self::Number => Value::Integer(text.trim().parse().map_err(|_| wrong())?),
            Self::Bytes => Value::Integer(bytes(text).ok_or_else(wrong)?),
            Self::Text
            | Self::Secret
            | Self::Path
            | Self::Address
            | Self::OptionalAddress
            | Self::Reached
            | Self::Choice(_) => Value::String(text.to_owned()),
            Self::Flag => Value::Boolean(text.trim().parse().map_err(|_| wrong())?),
            Self::Roles | Self::Databases | Self::Listeners => {
                Value::Array(items().map(|item| Value::String(item.to_owned())).collect())
            }
            Self::Ids => {
                let id = |item: &str| item.parse().map(Value::Integer).map_err(|_| wrong());
                Value::Array(items().map(id).collect::<Result<_, _>>()?)
            }
            Self::Nodes => {
                let node = |item: &str| {
                    let (id, address) = item.split_once('=').ok_or_else(wrong)?;
                    Ok((id.trim().to_owned(), Value::String(address.trim().to_owned())))
                };
                Value::Table(items().map(node).collect::<Result<_, String>>()?)
            }
        };
        self.check(value).map_err(|_| wrong())
    }

    /// How a value is shown to people.
    #[must_use]
    pub fn show(self, value: &Value) -> String {
        match (self, value) {
            (Self::Secret, Value::String(text)) if !text.is_empty() => "(hidden)".to_owned(),
            (Self::Nodes, Value::Table(nodes)) => {
                let node = |(id, address): (&String, &Value)| {
                    format!("{id}={}", address.as_str().unwrap_or_default())
                };
                nodes.iter().map(node).collect::<Vec<_>>().join(",")
            }
            _ => value.to_string(),
        }
    }
}

/// Whether a value looks like `host:port`. The host may be a name: it is looked up when the node connects.
fn is_reachable(address: &Value) -> bool {
    let parts = address.as_str().and_then(|text| text.rsplit_once(':'));
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// A number of bytes, with the units of Redis: `k` is 1000, `kb` is 1024, and so on.
fn bytes(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor: i64 = match &text[digits.len()..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    let number: i64 = digits.trim().parse().ok()?;
    number.checked_mul(factor).filter(|bytes| *bytes >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_units_of_redis() {
        assert_eq!(bytes("100"), Some(100));
        assert_eq!(bytes("2k"), Some(2000));
        assert_eq!(bytes("2KB"), Some(2048));
        assert_eq!(bytes("1gb"), Some(1 << 30));
        assert_eq!(bytes("-1"), None);
        assert_eq!(bytes("1tb"), None);
        assert_eq!(bytes("99999999999gb"), None);
    }

    #[test]
    fn lists_are_parsed_from_text() {
        assert_eq!(Kind::Ids.parse("1, 2,3").unwrap().to_string(), "[1, 2, 3]");
        let nodes = Kind::Nodes.parse("1=host:7000,2=[::1]:7001").unwrap();
        assert_eq!(Kind::Nodes.show(&nodes), "1=host:7000,2=[::1]:7001");
        assert!(Kind::Nodes.parse("1=host").is_err());
        assert!(Kind::Roles.parse("view,king").unwrap_err().contains("coordinator"));
    }
}
