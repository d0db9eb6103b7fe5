//! The connections of HTTP: few, and none for long, so that whoever opens many takes nothing from the rest of
//! the node.

use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tracing::warn;

use super::rights::From;
use crate::crowd::Crowd;

/// How many connections there are at once. One more ends the oldest one.
pub(crate) const CONNECTIONS_MAX: usize = 16;
/// How long a request's head may take to arrive, and a connection may be idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection lasts, whatever is going on with it: longer than any operation.
const CONNECTION_LASTS: Duration = Duration::from_secs(60);
/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Serves until the task is dropped, on the current thread's local set.
pub(super) async fn listen(listener: TcpListener, routes: Router) {
    let mut crowd = Crowd::new(CONNECTIONS_MAX);
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(call) => call,
            Err(error) => {
                warn!(%error, "cannot accept an HTTP client");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(routes.clone().layer(Extension(From(address))));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        // How it ends is nobody's business but the client's.
        crowd.admit(async move {
            let _ = tokio::time::timeout(CONNECTION_LASTS, connection).await;
        });
    }
}
