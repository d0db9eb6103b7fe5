//! What is published, and how a node fetches it.
//!
//! ```text
//! fetched := epoch:u64 first:u64 count:u32 message*            in a bulk string; first: number of the first
//! message := sort:u8 channel:bytes payload:bytes
//! marked  := epoch, count                                      an array of two integers
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Mark, Sort};

/// What a message costs beyond its bytes.
const MESSAGE_COST: u64 = 96;

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// On a channel, or on a shard channel.
    pub sort: Sort,
    /// Its name.
    pub channel: Bytes,
    /// What was said.
    pub payload: Bytes,
}

impl Message {
    /// About how many bytes it occupies.
    #[must_use]
    pub fn memory(&self) -> u64 {
        MESSAGE_COST + self.channel.len() as u64 + self.payload.len() as u64
    }

    /// Appends it to an answer, or an image.
    pub(crate) fn put(&self, out: &mut impl BufMut) {
        out.put_u8(self.sort as u8);
        for bytes in [&self.channel, &self.payload] {
            // A command has no longer argument.
            out.put_u32_le(u32::try_from(bytes.len()).expect("an argument of more than 4 GiB"));
            out.put_slice(bytes);
        }
    }

    /// Takes one off the front.
    pub(crate) fn take(bytes: &mut Bytes) -> Option<Self> {
        let sort = bytes.try_get_u8().ok()?;
        let sort = *Sort::ALL.get(usize::from(sort)).filter(|sort| **sort != Sort::Pattern)?;
        let mut text = || {
            let length = bytes.try_get_u32_le().ok()? as usize;
            (length <= bytes.len()).then(|| bytes.split_to(length))
        };
        let (channel, payload) = (text()?, text()?);
        Some(Self { sort, channel, payload })
    }
}

/// The response of the segment that fetches: with its length.
pub(super) fn fetched<'a>(
    epoch: u64,
    first: u64,
    messages: impl IntoIterator<Item = &'a Message, IntoIter: ExactSizeIterator>,
) -> Vec<u8> {
    let messages = messages.into_iter();
    let mut body = BytesMut::new();
    body.put_u64_le(epoch);
    body.put_u64_le(first);
    // As many as have come in one go of the log.
    body.put_u32_le(u32::try_from(messages.len()).expect("more than 2^32 messages"));
    messages.for_each(|message| message.put(&mut body));
    let header = format!("${}\r\n", body.len());
    let length = u32::try_from(header.len() + body.len() + 2).expect("an answer of more than 4 GiB");
    [&length.to_le_bytes(), header.as_bytes(), &body, b"\r\n"].concat()
}

/// What the reply to a subscription, or to its end, says: in which epoch of the feed it is, and how many
/// messages are before it.
#[must_use]
pub fn marked(reply: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(reply).ok()?;
    let mut lines = text.strip_prefix("*2\r\n")?.split("\r\n");
    let mut number = || lines.next()?.strip_prefix(':')?.parse().ok();
    Some((number()?, number()?))
}

impl Mark {
    pub(crate) fn write(self, reply: &mut onecopy_resp::Writer<'_>) {
        reply.array(2);
        // Neither comes near 2^63.
        reply.integer(self.epoch.cast_signed());
        reply.integer(self.count.cast_signed());
    }
}

/// How far a node has followed its feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Following {
    /// The feed that it knows; 0: none yet.
    pub epoch: u64,
    /// How many of its messages have been fetched.
    pub count: u64,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The feed is another one: whoever has subscribed in an earlier epoch may miss something.
    pub is_another: bool,
    /// The messages, in their order.
    pub messages: Vec<Message>,
}

impl Following {
    /// Takes the reply to a command that fetches. `None` if it makes no sense, or if something is missing
    /// before it.
    #[must_use]
    pub fn take(&mut self, reply: Bytes) -> Option<Followed> {
        let at = reply.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let mut body = reply.strip_suffix(b"\r\n").map(|reply| reply.len())?;
        if reply.first() != Some(&b'$') || body < at {
            return None;
        }
        let mut rest = reply.slice(at..body);
        let (epoch, first) = (rest.try_get_u64_le().ok()?, rest.try_get_u64_le().ok()?);
        body = rest.try_get_u32_le().ok()? as usize;
        let mut messages = Vec::new();
        for _ in 0..body {
            messages.push(Message::take(&mut rest)?);
        }
        let is_another = epoch != self.epoch;
        if is_another {
            *self = Self { epoch, count: 0 };
        }
        if !rest.is_empty() || first != self.count + 1 {
            return None;
        }
        self.count += messages.len() as u64;
        Some(Followed { is_another, messages })
    }
}
