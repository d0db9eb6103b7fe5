//! Orders are taken from operators, not from web pages that an operator happens to look at.
//!
//! A page from elsewhere can have a browser send requests to any address that the browser reaches (cross-site
//! request forgery), and can give its own name the address of a node (DNS rebinding). The browser then says
//! so: in `Origin`, whose page it is, and in `Host`, under which name it looked for the node.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::warn;

use crate::config::{Advertise, Config};

/// The names under which this node may be addressed, besides IP addresses and `localhost`.
#[derive(Clone, Debug)]
pub(crate) struct OwnNames(Arc<BTreeSet<String>>);

impl OwnNames {
    /// All names of nodes that the configuration knows.
    pub(crate) fn of(config: &Config) -> Self {
        let Advertise { redis, peer, sentinel } = &config.advertise;
        let addresses = config.nodes.values().chain([redis, peer, sentinel]);
        let named = addresses.filter(|address| !address.is_empty());
        let names = named.map(|address| host(address).to_ascii_lowercase());
        Self(Arc::new(names.collect()))
    }

    fn contains(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_address = bare.parse::<IpAddr>().is_ok();
        is_address || host.eq_ignore_ascii_case("localhost") || self.0.contains(&host.to_ascii_lowercase())
    }
}

/// The part of `host:port` before the port.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Lets only those requests through that no page from elsewhere has caused.
pub(super) async fn check(State(names): State<OwnNames>, request: Request, next: Next) -> Response {
    match objection(&names, request.headers()) {
        None => next.run(request).await,
        Some(objection) => {
            warn!(objection, "a request over HTTP was refused");
            (StatusCode::FORBIDDEN, format!("{objection}\n")).into_response()
        }
    }
}

fn objection(names: &OwnNames, headers: &HeaderMap) -> Option<&'static str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(authority) = text(header::HOST) else {
        return Some("the request does not say to which host it is");
    };
    if !names.contains(host(authority)) {
        return Some("the request is to another host: use an address of this node, or its name in [nodes]");
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = text(header::ORIGIN).unwrap_or_default();
        let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if own != Some(authority) {
            return Some("the request was caused by a web page from elsewhere");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(host: &str, origin: Option<&str>) -> bool {
        let names = OwnNames(Arc::new(BTreeSet::from(["db1.internal".to_owned()])));
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        origin.map(|origin| headers.insert(header::ORIGIN, origin.parse().unwrap()));
        objection(&names, &headers).is_some()
    }

    #[test]
    fn only_what_no_page_from_elsewhere_has_caused_is_let_through() {
        for host in
            ["127.0.0.1:8001", "[::1]:8001", "localhost:8001", "LOCALHOST", "DB1.internal:8001", "10.0.0.7"]
        {
            assert!(!objects(host, None), "{host}");
        }
        assert!(!objects("127.0.0.1:8001", Some("http://127.0.0.1:8001")));
        for host in [
            "evil.example:8001",
            "localhost.evil.example",
            "db1.internal.evil.example:1",
            "",
            "127.0.0.1.evil",
        ] {
            assert!(objects(host, None), "{host:?}");
        }
        for origin in
            ["http://evil.example", "null", "", "http://127.0.0.1:9", "http://127.0.0.1:8001.evil.example"]
        {
            assert!(objects("127.0.0.1:8001", Some(origin)), "{origin:?}");
        }
        assert!(objection(&OwnNames(Arc::default()), &HeaderMap::new()).is_some());
    }
}
