//! Counting replies without keeping them.

use anyhow::bail;
use memchr::memchr;

/// Counts the replies in a stream of bytes: simple strings, errors, integers and bulk strings.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    complete: u64,
    errors: u64,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Bytes of a bulk string that have not come.
    skip: usize,
}

impl Replies {
    /// How many replies have come.
    pub(crate) fn complete(&self) -> u64 {
        self.complete
    }

    /// How many of them were errors.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// Takes the next bytes.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                bytes = &bytes[skipped..];
                self.skip -= skipped;
                self.complete += u64::from(self.skip == 0);
                continue;
            }
            let Some(end) = memchr(b'\n', bytes) else {
                self.line.extend_from_slice(bytes);
                return Ok(());
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            self.line.extend_from_slice(line);
            let line = std::mem::take(&mut self.line);
            self.take_line(&line)?;
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let text = std::str::from_utf8(line)?.trim_end();
        match text.split_at_checked(1) {
            Some(("+" | ":", _)) | Some(("$", "-1")) => self.complete += 1,
            Some(("-", _)) => {
                self.complete += 1;
                self.errors += 1;
            }
            Some(("$", length)) => self.skip = length.parse::<usize>()? + 2,
            _ => bail!("unexpected reply {text:?}"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_counted_wherever_they_are_cut() {
        let stream = b"+OK\r\n$5\r\na\r\nb!\r\n:1\r\n$-1\r\n-ERR no\r\n";
        for cut in 0..stream.len() {
            let mut replies = Replies::default();
            replies.take(&stream[..cut]).unwrap();
            replies.take(&stream[cut..]).unwrap();
            assert_eq!((replies.complete(), replies.errors()), (5, 1));
        }
    }
}
