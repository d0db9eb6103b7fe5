//! What comes to a connection that did not ask for it.

use std::sync::Arc;

use super::Connection;
use super::tracking::{write_broken, write_invalid, write_redirected};
use crate::client::hub;
use crate::client::mailbox::{Mail, Mailbox};

/// Once so many bytes are to be written, mail waits in the mailbox.
pub(super) const WRITTEN_TOGETHER: usize = 64 * 1024;

impl Connection<'_> {
    /// The mailbox of this connection.
    pub(super) fn mailbox(&mut self) -> Arc<Mailbox> {
        let clients = self.clients;
        let limit = || clients.policy().parameters.output.pubsub;
        self.letterbox.get_or_hang(|| clients.hub.mailbox(limit()))
    }

    /// Moves mail to what is written, until there are so many bytes. Whether there may be more.
    ///
    /// # Errors
    /// The connection has to end.
    pub(super) fn take_mail(&mut self, bytes_max: usize) -> std::io::Result<bool> {
        self.take_mail_while(bytes_max, Mailbox::take)
    }

    /// The same, of what comes first that is `taken`.
    pub(super) fn take_mail_while(
        &mut self,
        bytes_max: usize,
        taken: impl Fn(&Mailbox) -> Option<Mail>,
    ) -> std::io::Result<bool> {
        let Some(mailbox) = self.letterbox.get() else { return Ok(false) };
        if let Some(why) = mailbox.broken() {
            hub::complain(self.session.address, why);
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        while self.output.len() < bytes_max {
            let Some(mail) = taken(&mailbox) else { return Ok(false) };
            if let Mail::Undeliverable(_) = mail {
                self.redirect_is_broken();
            }
            let mut writer = self.output.messages(self.session.version);
            match (mail, &self.subscriptions) {
                (Mail::Line(line), _) => writer.simple(&line),
                (Mail::Message(position, message), Some(subscriptions)) => {
                    subscriptions.write(position, &message, &mut writer);
                }
                // It listens to nothing any more.
                (Mail::Message(..), None) => {}
                (Mail::Invalid(what), _) => write_invalid(&what, &mut writer),
                (Mail::Redirected(what), subscriptions) => {
                    write_redirected(&what, subscriptions.is_some(), &mut writer);
                }
                (Mail::Event(event), _) => {
                    if let Some(listening) = &self.listening {
                        listening.hear(&event, &mut writer);
                    }
                }
                (Mail::Undeliverable(id), _) => write_broken(id, &mut writer),
            }
        }
        Ok(true)
    }

    /// Completes when there may be mail to take.
    pub(super) fn mail(&self) -> impl Future<Output = ()> + use<> {
        let letterbox = self.letterbox.clone();
        async move { letterbox.filled().await }
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
        if self.letterbox.get().is_some() {
            self.clients.monitors.remove(self.session.id);
            self.clients.register.with(self.clients.thread, self.session.id, |peer| peer.monitors = false);
        }
    }
}
