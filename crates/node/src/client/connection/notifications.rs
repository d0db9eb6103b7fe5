//! `CONFIG SET notify-keyspace-events`, and what `CONFIG GET` says of it.
//!
//! Which events are published decides what entries do, so it is changed by an entry, and is the same for all
//! nodes. Other parameters are in the view table ([`parameters`](crate::parameters)).

use onecopy_host::{Kind, Reply};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_views::MAIN;

use super::Connection;
use crate::client::failure::explain;
use crate::parameters;
use crate::text::glob;

const NAME: &[u8] = parameters::NOTIFICATIONS.as_bytes();

impl Connection<'_> {
    /// A `CONFIG` about this setting alone, if it is one: answers it.
    pub(super) async fn configure_notifications(&mut self, args: &[&[u8]]) -> std::io::Result<bool> {
        match args {
            [word, name, classes] if is(word, b"set") && is(name, NAME) => {
                if let Some(_written) = self.notifications(Some(classes)).await? {
                    self.output.writer(self.session.version).ok();
                }
                Ok(true)
            }
            [word, name] if is(word, b"get") && is(name, NAME) => {
                if let Some(written) = self.notifications(None).await? {
                    let mut writer = self.output.writer(self.session.version);
                    writer.map(1);
                    writer.bulk(NAME);
                    writer.bulk(&written);
                }
                Ok(true)
            }
            // Among others: what is said of them needs the value.
            [word, patterns @ ..] if is(word, b"get") && patterns.iter().any(|it| glob(it, NAME)) => {
                match self.notifications(None).await? {
                    Some(written) => self.session.notified = String::from_utf8_lossy(&written).into_owned(),
                    None => return Ok(true),
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Sets the classes, or asks for them: how they are written. If that fails, the client is told.
    async fn notifications(&mut self, classes: Option<&[u8]>) -> std::io::Result<Option<Vec<u8>>> {
        let kind = if classes.is_some() { Kind::Write } else { Kind::Read };
        let segment = SegmentBuilder::notify(classes).freeze();
        let answered = self.clients.hand_in(MAIN, kind, segment);
        match answered.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionAborted))? {
            Reply::Done { reply, .. } if reply.first() == Some(&b'$') => {
                let text = reply.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
                Ok(Some(text.strip_suffix(b"\r").unwrap_or(text).to_vec()))
            }
            Reply::Done { reply, .. } => {
                self.output.push(reply);
                Ok(None)
            }
            failure => {
                self.fail(&explain(&failure))?;
                Ok(None)
            }
        }
    }
}

fn is(word: &[u8], name: &[u8]) -> bool {
    word.eq_ignore_ascii_case(name)
}
