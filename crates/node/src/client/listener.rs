//! Taking clients' calls.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use onecopy_core::GroupId;
use onecopy_host::Share;
use onecopy_views::MAIN;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tracing::warn;

use super::front::Front;
use super::{Clients, connection};
use crate::data::inbox::Event;
use crate::status::ClientCounters;

/// What clients of other machines are told by a node that would let everybody in.
const PROTECTED: &[u8] = b"-DENIED Onecopy is running in protected mode because protected mode is enabled and no password is set for \
    the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from \
    external computers, set a password for the default user (requirepass in the settings of all nodes, or CONFIG SET \
    requirepass from this machine), or disable protected mode (protected_mode = false in the settings of the nodes) if \
    nobody else reaches them.\r\n";

/// Serves clients on the current thread's local set until the listener's task is dropped.
pub(crate) async fn listen(listener: TcpListener, front: Arc<Front>, clients: Rc<Clients>) {
    let mut calls = 0;
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
        if clients.policy().is_protected_from(address.ip()) {
            ClientCounters::add(&counters.rejected, 1);
            let _ = stream.try_write(PROTECTED);
            let _ = stream.shutdown().await;
            continue;
        }
        if clients.register.count() >= clients.policy().parameters.clients_max {
            ClientCounters::add(&counters.rejected, 1);
            // A client that does not read this has not earned any more patience.
            let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
            let _ = stream.shutdown().await;
            continue;
        }
        let thread = place(calls, &clients);
        calls += 1;
        let id = connection::admit(&stream, address, thread, &clients);
        match stream.into_std() {
            Ok(stream) if thread == clients.thread => {
                connection::spawn(stream, (address, front.clone()), id, clients.clone());
            }
            // Threads end together.
            Ok(stream) => {
                let called = Event::Called { id, address, front: front.clone(), stream };
                drop(clients.mailboxes[thread].send(vec![called]));
            }
            Err(error) => {
                warn!(%error, "a client is lost");
                clients.register.remove(thread, id);
            }
        }
    }
}

/// The thread that serves the next client, after so many: clients are spread over the threads that have
/// groups. A thread without one would only pass everything on.
fn place(calls: usize, clients: &Clients) -> usize {
    let threads = clients.mailboxes.len();
    let groups = clients.knowledge.table().groups().len().clamp(1, threads);
    // Groups are numbered in a row.
    Share::holder(GroupId(MAIN.0 + (calls % groups) as u32), threads)
}
