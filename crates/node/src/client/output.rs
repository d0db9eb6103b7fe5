//! Replies on their way to one client.
//!
//! A client may send a whole pipeline before it reads the first reply: as long as its unread replies are
//! bounded, it is listened to meanwhile, for it would wait for ever otherwise, and so would the node.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};

use bytes::Bytes;
use onecopy_resp::{Version, Writer};
use tokio::net::TcpStream;

use super::budget::{Budget, Share};
use crate::parameters::OutputLimit;

/// How long a client may leave its replies unread when the memory for them is used up.
const STALL_WHEN_OVERDRAWN: Duration = Duration::from_secs(1);
/// Buffers that grew beyond this are given back to the allocator.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;
/// Replies of so many bytes are not copied: others would wait for it. One that is left unread holds on to the
/// response of which it is a part, so no small reply does.
const WHOLE_BYTES: usize = 1 << 20;
/// Once so many bytes are written, others have their turn. A client may read as fast as it is written to.
const BYTES_TOGETHER: usize = 1 << 18;
/// The memory of a reply of so many bytes is given back by another thread: to take its pages away takes the
/// operating system milliseconds.
const FREED_ELSEWHERE_BYTES: usize = 1 << 24;
/// One client's unread replies take at most this part of what all clients' may take, and what one command
/// adds.
const PART_OF_BUDGET: usize = 4;

/// The unread replies of one client.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    budget: &'a Budget,
    share: Share<'a>,
    /// What comes first: long replies, and what was written before each.
    pieces: VecDeque<Bytes>,
    pieces_bytes: usize,
    /// What comes after them.
    bytes: Vec<u8>,
    /// So many bytes of all that are written.
    sent: usize,
    stall: Duration,
    /// Since when there is more than the soft limit.
    over_since: Option<Instant>,
    /// Whether the client wants to hear what comes next.
    is_heard: bool,
    /// What it does not want to hear.
    unheard: Vec<u8>,
}

impl<'a> Output<'a> {
    /// For a client that is given up when it takes nothing for as long as `stall`.
    pub(crate) fn new(budget: &'a Budget, stall: Duration) -> Self {
        let (pieces, bytes) = (VecDeque::new(), Vec::new());
        Self {
            budget,
            share: budget.share(),
            pieces,
            pieces_bytes: 0,
            bytes,
            sent: 0,
            stall,
            over_since: None,
            is_heard: true,
            unheard: Vec::new(),
        }
    }

    /// What the next replies are written to.
    pub(crate) fn writer(&mut self, version: Version) -> Writer<'_> {
        if !self.is_heard {
            self.unheard.clear();
            return Writer::new(&mut self.unheard, version);
        }
        Writer::new(&mut self.bytes, version)
    }

    /// What is written to it is heard in any case: it is no reply, but about what the client listens to.
    pub(crate) fn messages(&mut self, version: Version) -> Writer<'_> {
        Writer::new(&mut self.bytes, version)
    }

    /// Adds replies.
    pub(crate) fn push(&mut self, replies: Bytes) {
        if !self.is_heard {
            return;
        }
        if replies.len() < WHOLE_BYTES {
            return self.bytes.extend_from_slice(&replies);
        }
        let before = Bytes::from(std::mem::take(&mut self.bytes));
        for piece in [before, replies].into_iter().filter(|piece| !piece.is_empty()) {
            self.pieces_bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Whether the client hears what comes next.
    pub(crate) fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// The client hears what comes next, or does not.
    pub(crate) fn set_heard(&mut self, is_heard: bool) {
        self.is_heard = is_heard;
        self.unheard = Vec::new();
    }

    /// Whether the client has left more unread than it may. To be asked whenever something was written.
    pub(crate) fn exceeds(&mut self, limit: OutputLimit) -> bool {
        let bytes = self.len() as u64;
        let is_over = |most: u64| most > 0 && bytes > most;
        let since = self.over_since.filter(|_| is_over(limit.soft_bytes));
        self.over_since = is_over(limit.soft_bytes).then(|| since.unwrap_or_else(Instant::now));
        let has_lasted = self.over_since.is_some_and(|since| since.elapsed() >= limit.soft_time);
        is_over(limit.hard_bytes) || has_lasted
    }

    /// Whether everything is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes are not written.
    pub(crate) fn len(&self) -> usize {
        self.pieces_bytes + self.bytes.len() - self.sent
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

    /// Writes as much as goes without waiting, and keeping others waiting. Returns how much that was.
    pub(crate) fn write(&mut self, stream: &TcpStream) -> Result<usize> {
        let mut written = 0;
        while !self.is_empty() && written < BYTES_TOGETHER {
            match self.try_write(stream) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.tidy();
        Ok(written)
    }

    fn try_write(&mut self, stream: &TcpStream) -> Result<usize> {
        let first = self.pieces.front().map_or(&self.bytes[..], |piece| &piece[..]);
        let rest = &first[self.sent..];
        let written = stream.try_write(&rest[..rest.len().min(BYTES_TOGETHER)])?;
        self.sent += written;
        if let Some(piece) = self.pieces.pop_front_if(|piece| piece.len() == self.sent) {
            self.sent = 0;
            self.pieces_bytes -= piece.len();
            if piece.len() >= FREED_ELSEWHERE_BYTES {
                tokio::task::spawn_blocking(|| drop(piece));
            }
        }
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
            tokio::task::yield_now().await;
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
        } else if self.pieces.is_empty() && self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        self.share.resize(self.pieces_bytes + self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// A client that reads everything: what it has read, and how many pieces were held at most.
    async fn exchange(replies: &[Bytes]) -> (Vec<u8>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("it has one"));
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (mut client, (stream, _)) = (client.expect("it connects"), accepted.expect("it is accepted"));
        let budget = Budget::new(1 << 30);
        let mut output = Output::new(&budget, Duration::from_secs(60));
        replies.iter().for_each(|reply| output.push(reply.clone()));
        let held = output.pieces.len();
        assert_eq!(output.len(), replies.concat().len());
        let writing = async {
            output.drain(&stream, true).await.expect("it is read");
            assert!(output.is_empty() && output.pieces.is_empty() && output.sent == 0);
            drop(stream);
        };
        let mut read = Vec::new();
        let reading = async { client.read_to_end(&mut read).await.expect("it reads") };
        tokio::join!(writing, reading);
        (read, held)
    }

    #[tokio::test]
    async fn long_replies_come_whole_and_everything_in_its_order() {
        let letters = |letter: u8, bytes: usize| Bytes::from(vec![letter; bytes]);
        let replies = [
            letters(b'a', 10),
            letters(b'b', 3 * WHOLE_BYTES),
            letters(b'c', WHOLE_BYTES),
            letters(b'd', 20),
            letters(b'e', WHOLE_BYTES - 1),
            letters(b'f', WHOLE_BYTES + 1),
            letters(b'g', 1),
        ];
        let (read, held) = exchange(&replies).await;
        assert_eq!(held, 5, "a, b, c, d with e, f");
        assert!(read == replies.concat());
    }
}
