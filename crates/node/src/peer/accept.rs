//! The incoming connections of all lanes.

use std::time::Duration;

use bytes::BytesMut;
use onecopy_core::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use super::wire::{self, BODY_MAX, GREETING_MAX, Incoming, Parcel};
use super::{Greeting, Lane, PROTOCOL_VERSION, PeerEvent};
use crate::crowd::Crowd;

/// How many callers may be greeting at once. One more ends the oldest greeting.
pub(crate) const GREETING_CALLERS_MAX: usize = 16;
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);
/// How many bytes are taken from a connection at once.
const READ_BYTES: usize = 256 * 1024;

/// A connection whose greeting was accepted. It can move to another thread.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) from: NodeId,
    pub(crate) lane: Lane,
    /// Which thread of the caller it is, of how many.
    pub(crate) thread: (u32, u32),
    stream: std::net::TcpStream,
    /// What came after the greeting already.
    input: BytesMut,
}

/// Who is being called.
#[derive(Clone, Debug)]
pub(crate) struct Callee {
    pub(crate) cluster: String,
    pub(crate) node: NodeId,
}

/// Why a caller was turned away.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0}")]
    Wire(#[from] wire::WireError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("no greeting came in time")]
    TimedOut,
    #[error("it speaks version {0} of the peer protocol, this node speaks {PROTOCOL_VERSION}")]
    Version(u32),
    #[error("it belongs to the cluster {0:?}")]
    OtherCluster(String),
    #[error("it wanted to reach {0}")]
    WrongNumber(NodeId),
}

/// Takes calls, on the current thread's local set, and hands over those that may speak.
pub(crate) async fn accept(
    listener: TcpListener,
    callee: Callee,
    accepted: impl Fn(Accepted) + Clone + 'static,
) {
    let mut crowd = Crowd::new(GREETING_CALLERS_MAX);
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(call) => call,
            Err(error) => {
                // Out of file descriptors, most likely: waiting is all that helps.
                warn!(%error, "cannot accept a peer");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (callee, accepted) = (callee.clone(), accepted.clone());
        crowd.admit(async move {
            let greeted = tokio::time::timeout(GREETING_TIMEOUT, greet(stream, &callee)).await;
            match greeted.map_err(|_| Refused::TimedOut).flatten() {
                Ok(connection) => accepted(connection),
                Err(refused) => warn!(%address, %refused, "turned a peer away"),
            }
        });
    }
}

async fn greet(mut stream: TcpStream, callee: &Callee) -> Result<Accepted, Refused> {
    let mut input = BytesMut::with_capacity(GREETING_MAX);
    let mut incoming = Incoming::new(GREETING_MAX);
    let greeting: Greeting = loop {
        if let Some(greeting) = incoming.next(&mut input)? {
            break greeting;
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
    };
    if greeting.version != PROTOCOL_VERSION {
        return Err(Refused::Version(greeting.version));
    }
    if greeting.cluster != callee.cluster {
        return Err(Refused::OtherCluster(greeting.cluster));
    }
    if greeting.to != callee.node {
        return Err(Refused::WrongNumber(greeting.to));
    }
    stream.write_all(b"1").await?;
    Ok(Accepted {
        from: greeting.from,
        lane: greeting.lane,
        thread: greeting.thread,
        stream: stream.into_std()?,
        input,
    })
}

/// Reads messages until the connection breaks. A read that leaves something is followed by a turn of the
/// event loop, so that one busy peer does not keep the others waiting.
pub(crate) async fn read_messages<M: Parcel>(connection: Accepted, event: impl Fn(PeerEvent<M>)) {
    let from = connection.from;
    let result = read_until_lost(connection, &event).await;
    match result {
        Ok(()) => debug!(%from, "a peer hung up"),
        Err(refused) => warn!(%from, %refused, "lost a peer"),
    }
    event(PeerEvent::Lost { node: from });
}

async fn read_until_lost<M: Parcel>(
    connection: Accepted,
    event: &impl Fn(PeerEvent<M>),
) -> Result<(), Refused> {
    let Accepted { from, stream, mut input, .. } = connection;
    let mut stream = TcpStream::from_std(stream)?;
    let mut incoming = Incoming::new(BODY_MAX);
    loop {
        while let Some(message) = incoming.next(&mut input)? {
            event(PeerEvent::Received { from, message });
        }
        if incoming.is_long() {
            // A large message is on its way: whoever sends it is not silent.
            event(PeerEvent::Arriving { from });
        }
        input.reserve(READ_BYTES);
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        if input.len() == input.capacity() {
            tokio::task::yield_now().await;
        }
    }
}
