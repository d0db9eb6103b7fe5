//! Replies on their way to one client.
//!
//! A client may send a whole pipeline before it reads the first reply: as long as its unread replies are
//! bounded, it is listened to meanwhile, for it would wait for ever otherwise, and so would the node.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use onecopy_resp::{Version, Writer};
use tokio::net::TcpStream;

use super::budget::{Budget, Share};

/// How long a client may leave its replies unread when the memory for them is used up.
const STALL_WHEN_OVERDRAWN: Duration = Duration::from_secs(1);
/// Buffers that grew beyond this are given back to the allocator.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;
/// One client's unread replies take at most this part of what all clients' may take, and what one command
/// adds.
const PART_OF_BUDGET: usize = 4;

/// The unread replies of one client.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    budget: &'a Budget,
    share: Share<'a>,
    bytes: Vec<u8>,
    /// So many of the bytes are written.
    sent: usize,
    stall: Duration,
}

impl<'a> Output<'a> {
    /// For a client that is given up when it takes nothing for as long as `stall`.
    pub(crate) fn new(budget: &'a Budget, stall: Duration) -> Self {
        Self { budget, share: budget.share(), bytes: Vec::new(), sent: 0, stall }
    }

    /// What the next replies are written to.
    pub(crate) fn writer(&mut self, version: Version) -> Writer<'_> {
        Writer::new(&mut self.bytes, version)
    }

    /// Adds replies.
    pub(crate) fn push(&mut self, replies: &[u8]) {
        self.bytes.extend_from_slice(replies);
    }

    /// Whether everything is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// How many bytes are not written.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether the client must read before it is given more.
    pub(crate) fn is_full(&self) -> bool {
        let max = self.budget.max() / PART_OF_BUDGET;
        self.len() > max || (self.budget.is_overdrawn() && !self.share.is_small())
    }

    /// How long the client may take nothing of it.
    pub(crate) fn patience(&self) -> Duration {
        let overdrawn = self.budget.is_overdrawn() && !self.share.is_small();
        if overdrawn { self.stall.min(STALL_WHEN_OVERDRAWN) } else { self.stall }
    }

    /// Writes as much as goes without waiting. Returns how much that was.
    pub(crate) fn write(&mut self, stream: &TcpStream) -> Result<usize> {
        let before = self.sent;
        while self.sent < self.bytes.len() {
            match stream.try_write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let written = self.sent - before;
        self.tidy();
        Ok(written)
    }

    /// Writes until the client need not be waited for; `everything`: until nothing is left.
    ///
    /// # Errors
    /// The connection is lost, or the client has taken nothing for too long.
    pub(crate) async fn drain(&mut self, stream: &TcpStream, everything: bool) -> Result<usize> {
        let mut written = self.write(stream)?;
        while if everything { !self.is_empty() } else { self.is_full() } {
            let writable = tokio::time::timeout(self.patience(), stream.writable());
            writable.await.map_err(|_| Error::from(ErrorKind::TimedOut))??;
            written += self.write(stream)?;
        }
        Ok(written)
    }

    /// Lets go of what is written, and counts what is not.
    fn tidy(&mut self) {
        if self.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(BUFFER_BYTES_KEPT);
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        self.share.resize(self.bytes.len());
    }
}
