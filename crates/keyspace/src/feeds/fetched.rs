//! How a node fetches a feed.
//!
//! ```text
//! fetched := epoch:u64 first:u64 count:u32 item*               in a bulk string; first: number of the first
//! marked  := epoch, count                                      an array of two integers
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Item, Mark};

/// The response of the segment that fetches: with its length.
pub(super) fn response<'a, T: Item + 'a>(
    epoch: u64,
    first: u64,
    items: impl IntoIterator<Item = &'a T, IntoIter: ExactSizeIterator>,
) -> Vec<u8> {
    let items = items.into_iter();
    let mut body = BytesMut::new();
    body.put_u64_le(epoch);
    body.put_u64_le(first);
    // As many as have come in one go of the log.
    body.put_u32_le(u32::try_from(items.len()).expect("more than 2^32 items"));
    items.for_each(|item| item.put(&mut body));
    let header = format!("${}\r\n", body.len());
    let length = u32::try_from(header.len() + body.len() + 2).expect("an answer of more than 4 GiB");
    [&length.to_le_bytes(), header.as_bytes(), &body, b"\r\n"].concat()
}

/// What a reply says of where a feed stood: in which epoch it is, and how many items are before it.
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
    /// How many of its items have been fetched.
    pub count: u64,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed<T> {
    /// The feed is another one: whoever relied on an earlier epoch may miss something.
    pub is_another: bool,
    /// What was in it, in its order.
    pub items: Vec<T>,
}

impl Following {
    /// Takes the reply to a command that fetches. `None` if it makes no sense, or if something is missing
    /// before it.
    #[must_use]
    pub fn take<T: Item>(&mut self, reply: Bytes) -> Option<Followed<T>> {
        let at = reply.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let mut body = reply.strip_suffix(b"\r\n").map(|reply| reply.len())?;
        if reply.first() != Some(&b'$') || body < at {
            return None;
        }
        let mut rest = reply.slice(at..body);
        let (epoch, first) = (rest.try_get_u64_le().ok()?, rest.try_get_u64_le().ok()?);
        body = rest.try_get_u32_le().ok()? as usize;
        let mut items = Vec::new();
        for _ in 0..body {
            items.push(T::take(&mut rest)?);
        }
        let is_another = epoch != self.epoch;
        if is_another {
            *self = Self { epoch, count: 0 };
        }
        if !rest.is_empty() || first != self.count + 1 {
            return None;
        }
        self.count += items.len() as u64;
        Some(Followed { is_another, items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::{Message, Sort};

    #[test]
    fn a_fetched_reply_that_makes_no_sense_is_noticed() {
        let message = Message { sort: Sort::Channel, channel: "c".into(), payload: "p".into() };
        let good = Bytes::from(response(3, 1, [&message])).slice(4..);
        let mut following = Following { epoch: 3, count: 0 };
        assert_eq!(following.take::<Message>(good.clone()).unwrap().items, [message]);
        assert_eq!(following.take::<Message>(good.clone()), None, "it was fetched before");
        assert_eq!(
            Following { epoch: 2, count: 5 }.take::<Message>(good.clone()).map(|it| it.is_another),
            Some(true)
        );
        for length in 0..good.len() {
            assert_eq!(
                Following { epoch: 3, count: 0 }.take::<Message>(good.slice(..length)),
                None,
                "{length}"
            );
        }
        let gap = Bytes::from(response::<Message>(3, 2, [])).slice(4..);
        assert_eq!(Following { epoch: 3, count: 0 }.take::<Message>(gap), None);
        assert_eq!(Following::default().take::<Message>(Bytes::from_static(b"-ERR no\r\n")), None);
    }
}
