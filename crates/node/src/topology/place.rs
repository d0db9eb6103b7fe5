//! Where clients reach a node.

use std::net::IpAddr;

use onecopy_core::NodeId;

/// Where clients of a database reach a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) node: NodeId,
    /// 40 hexadecimal digits, which stay.
    pub(crate) name: String,
    /// What `INFO` calls its `run_id`.
    pub(crate) run: String,
    /// An address, or a name if that is what is advertised.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where other nodes reach it.
    pub(crate) bus: u16,
    /// Whether the node that is asked has a connection to it.
    pub(crate) is_reached: bool,
}

impl Place {
    /// The name of the host, if it is no address.
    pub(crate) fn hostname(&self) -> Option<&str> {
        Some(self.host.as_str()).filter(|host| host.parse::<IpAddr>().is_err())
    }
}

/// The host and the port of an address; brackets around a host are left out.
pub(crate) fn split(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some(())?;
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_hosts_and_ports() {
        assert_eq!(split("10.0.0.1:6379"), Some(("10.0.0.1".to_owned(), 6379)));
        assert_eq!(split("[::1]:1"), Some(("::1".to_owned(), 1)));
        assert_eq!(split("db1.example.com:6379"), Some(("db1.example.com".to_owned(), 6379)));
        assert_eq!([split(""), split("db1"), split(":1"), split("db1:x")], [None, None, None, None]);
    }
}
