//! Taking clients' calls.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tracing::warn;

use super::{Clients, connection};
use crate::status::ClientCounters;

/// Serves clients on the current thread's local set until the listener's task is dropped.
pub(crate) async fn listen(listener: TcpListener, clients: Rc<Clients>) {
    loop {
        let (mut stream, address) = match listener.accept().await {
            Ok(call) => call,
            Err(error) => {
                // Out of file descriptors, most likely: waiting is all that helps.
                warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let counters = &clients.knowledge.data.clients;
        ClientCounters::add(&counters.accepted, 1);
        if clients.connected.borrow().len() >= clients.config.limits.clients {
            ClientCounters::add(&counters.rejected, 1);
            // A client that does not read this has not earned any more patience.
            let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
            let _ = stream.shutdown().await;
            continue;
        }
        tokio::task::spawn_local(connection::serve(stream, address, clients.clone()));
    }
}
