//! What comes to a connection that did not ask for it.

use std::sync::Arc;

use super::Connection;
use crate::client::hub;
use crate::client::mailbox::{Mail, Mailbox};

/// Once so many bytes are to be written, mail waits in the mailbox.
pub(super) const WRITTEN_TOGETHER: usize = 64 * 1024;

impl Connection<'_> {
    /// The mailbox of this connection.
    pub(super) fn mailbox(&mut self) -> Arc<Mailbox> {
        let clients = self.clients;
        let limit = || clients.policy().parameters.output.pubsub;
        self.mailbox.get_or_insert_with(|| clients.hub.mailbox(limit())).clone()
    }

    /// Moves mail to what is written, until there are so many bytes. Whether there may be more.
    ///
    /// # Errors
    /// The connection has to end.
    pub(super) fn take_mail(&mut self, bytes_max: usize) -> std::io::Result<bool> {
        let Some(mailbox) = &self.mailbox else { return Ok(false) };
        if let Some(why) = mailbox.broken() {
            hub::complain(self.session.address, why);
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        while self.output.len() < bytes_max {
            let Some(mail) = mailbox.take() else { return Ok(false) };
            let mut writer = self.output.writer(self.session.version);
            match (mail, &self.subscriptions) {
                (Mail::Line(line), _) => writer.simple(&line),
                (Mail::Message(position, message), Some(subscriptions)) => {
                    subscriptions.write(position, &message, &mut writer);
                }
                // It listens to nothing any more.
                (Mail::Message(..), None) => {}
            }
        }
        Ok(true)
    }

    /// Completes when there may be mail to take; never, if nothing can come.
    pub(super) fn mail(&self) -> impl Future<Output = ()> + use<> {
        let mailbox = self.mailbox.clone();
        async move {
            match mailbox {
                Some(mailbox) => mailbox.filled().await,
                None => std::future::pending().await,
            }
        }
    }

    /// `MONITOR`
    pub(super) fn begin_monitoring(&mut self) {
        let mailbox = self.mailbox();
        self.clients.monitors.add(self.session.id, mailbox);
        self.clients.register.with(self.clients.thread, self.session.id, |peer| peer.monitors = true);
        self.output.writer(self.session.version).ok();
    }

    /// Is shown nothing any more.
    pub(super) fn end_monitoring(&mut self) {
        if self.mailbox.is_some() {
            self.clients.monitors.remove(self.session.id);
            self.clients.register.with(self.clients.thread, self.session.id, |peer| peer.monitors = false);
        }
    }
}
