//! Bytes from a client and to it: requests, replies, and what it did not ask for.

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, Interest};

use super::mail::WRITTEN_TOGETHER;
use super::{Connection, READ_BYTES, READ_BYTES_MAX};

/// Once one part in so many of a large argument is there, room is made for all of it, so that it is not moved
/// each time there is too little. Whoever only announces much gets room for little.
const TRUSTED: usize = 8;

impl Connection<'_> {
    /// Waits for bytes and takes them, and writes meanwhile what the client takes of its replies. 0: the
    /// client has left. `announced`: how many bytes the argument that is arriving ends at.
    ///
    /// A connection that waits with nothing half received holds no buffer: there may be many thousands of
    /// them.
    pub(super) async fn exchange(
        &mut self,
        input: &mut BytesMut,
        announced: usize,
    ) -> std::io::Result<usize> {
        if input.is_empty() {
            *input = BytesMut::new();
        }
        loop {
            let has_mail = self.take_mail(WRITTEN_TOGETHER)?;
            let ready = if self.write()? {
                if has_mail {
                    // Whoever reads as fast as it is written to leaves others their turn.
                    tokio::task::yield_now().await;
                    continue;
                }
                let mail = self.mail();
                tokio::select! {
                    ready = self.stream.ready(Interest::READABLE) => ready?,
                    () = mail => continue,
                }
            } else {
                // A client that reads as fast as it is written to is never waited for.
                tokio::task::yield_now().await;
                let interest = match self.output.is_full() {
                    true => Interest::WRITABLE,
                    false => Interest::READABLE | Interest::WRITABLE,
                };
                let mail = self.mail();
                let ready = tokio::time::timeout(self.output.patience(), self.stream.ready(interest));
                tokio::select! {
                    ready = ready => ready.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??,
                    // There may be too much of it.
                    () = mail => continue,
                }
            };
            if !ready.is_readable() || self.output.is_full() {
                continue;
            }
            // The more of a large command has come, the more is taken at once.
            input.reserve(match announced.saturating_sub(input.len()) {
                missing if missing > 0 && missing <= TRUSTED * input.len() => missing + READ_BYTES,
                _ => input.len().clamp(READ_BYTES, READ_BYTES_MAX),
            });
            // Unlike `try_read_buf`, this notices that a read has taken everything, and spares one that finds
            // nothing.
            let mut piece = (&mut *input).limit(READ_BYTES_MAX);
            tokio::select! {
                biased;
                outcome = self.stream.read_buf(&mut piece) => return outcome,
                () = std::future::ready(()) => {}
            }
        }
    }

    /// Writes what the client takes without being waited for. Returns whether that was everything.
    pub(super) fn write(&mut self) -> std::io::Result<bool> {
        let written = self.output.write(&self.stream)?;
        self.clients.knowledge.data.clients.wrote(written);
        let is_empty = self.output.is_empty();
        if !is_empty && self.output.exceeds(self.clients.policy().parameters.output.normal) {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        Ok(is_empty)
    }

    /// Waits for the client only if it has left too many replies unread.
    pub(super) async fn relieve(&mut self) -> std::io::Result<()> {
        let written = self.output.drain(&self.stream, false).await?;
        self.clients.knowledge.data.clients.wrote(written);
        Ok(())
    }
}
