//! Of which events a client of Sentinel hears.

use std::collections::BTreeSet;

use bytes::Bytes;
use onecopy_keyspace::glob;
use onecopy_resp::Writer;

use super::Event;

/// So many channels and patterns a client may listen to. There are fewer than twenty.
const NAMES_MAX: usize = 128;
/// So long may one be.
const NAME_BYTES_MAX: usize = 256;

/// The channels and patterns that a client listens to.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Listening {
    channels: BTreeSet<Bytes>,
    patterns: BTreeSet<Bytes>,
}

impl Listening {
    /// How many there are.
    pub(in crate::client) fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Begins or ends to listen to these, and writes the replies; to end all, none is named.
    ///
    /// # Errors
    /// There would be too many, or one is too long.
    pub(in crate::client) fn change(
        &mut self,
        word: &'static str,
        names: &[&[u8]],
        reply: &mut Writer<'_>,
    ) -> Result<(), &'static str> {
        let begins = !word.contains("un");
        let is_pattern = word.starts_with('p');
        if begins
            && (self.count() + names.len() > NAMES_MAX
                || names.iter().any(|name| name.len() > NAME_BYTES_MAX))
        {
            return Err("ERR a client of Sentinel listens to at most 128 channels and patterns of 256 bytes");
        }
        let own = if is_pattern { &self.patterns } else { &self.channels };
        let names: Vec<Bytes> = match names {
            [] => own.iter().cloned().collect(),
            names => names.iter().map(|name| Bytes::copy_from_slice(name)).collect(),
        };
        if names.is_empty() {
            self.write(word, None, reply);
        }
        for name in names {
            let own = if is_pattern { &mut self.patterns } else { &mut self.channels };
            match begins {
                true => own.insert(name.clone()),
                false => own.remove(&name),
            };
            self.write(word, Some(&name), reply);
        }
        Ok(())
    }

    fn write(&self, word: &str, name: Option<&[u8]>, reply: &mut Writer<'_>) {
        reply.push(3);
        reply.bulk(word.as_bytes());
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.length(self.count());
    }

    /// Writes an event, once for each way in which it is listened to.
    pub(in crate::client) fn hear(&self, event: &Event, writer: &mut Writer<'_>) {
        let channel = event.channel.as_bytes();
        if self.channels.contains(channel) {
            writer.push(3);
            writer.bulk(b"message");
            writer.bulk(channel);
            writer.bulk(event.payload.as_bytes());
        }
        for pattern in self.patterns.iter().filter(|pattern| glob::matches(pattern, channel)) {
            writer.push(4);
            writer.bulk(b"pmessage");
            writer.bulk(pattern);
            writer.bulk(channel);
            writer.bulk(event.payload.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use onecopy_resp::Version;

    use super::*;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut bytes = Vec::new();
        write(&mut Writer::new(&mut bytes, Version::Three));
        String::from_utf8(bytes).expect("text").replace("\r\n", " ")
    }

    #[test]
    fn a_client_hears_what_it_listens_to() {
        let mut listening = Listening::default();
        let begun = written(|reply| {
            listening.change("subscribe", &[b"+switch-master"], reply).expect("there is room");
            listening.change("psubscribe", &[b"+s*"], reply).expect("there is room");
        });
        assert_eq!(begun, ">3 $9 subscribe $14 +switch-master :1 >3 $10 psubscribe $3 +s* :2 ");
        let event = |channel| Event { channel, payload: "x".to_owned() };
        assert_eq!(
            written(|writer| listening.hear(&event("+switch-master"), writer)),
            ">3 $7 message $14 +switch-master $1 x >4 $8 pmessage $3 +s* $14 +switch-master $1 x "
        );
        assert_eq!(written(|writer| listening.hear(&event("-sdown"), writer)), "");
        let ended = written(|reply| {
            listening.change("unsubscribe", &[], reply).expect("it ends");
            listening.change("unsubscribe", &[], reply).expect("nothing is left");
        });
        assert_eq!(ended, ">3 $11 unsubscribe $14 +switch-master :1 >3 $11 unsubscribe _ :1 ");
    }

    #[test]
    fn nobody_listens_to_very_much() {
        let (mut listening, mut bytes) = (Listening::default(), Vec::new());
        let mut reply = Writer::new(&mut bytes, Version::Two);
        let many: Vec<&[u8]> = vec![b"x"; NAMES_MAX + 1];
        assert!(listening.change("subscribe", &many, &mut reply).is_err());
        assert!(listening.change("psubscribe", &[&[b'x'; NAME_BYTES_MAX + 1]], &mut reply).is_err());
        assert_eq!(listening.count(), 0);
    }
}
