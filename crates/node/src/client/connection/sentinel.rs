//! A connection at the port of Sentinel: what it may ask for, and the events that it hears of.

use onecopy_resp::Request;

use super::Connection;
use crate::client::sentinel::{self, Answer, Listening};
use crate::client::{commands, failover};

/// What is answered as at the port of Redis.
const COMMON: &[&str] = &["acl", "auth", "client", "command", "hello", "quit", "reset"];

impl Connection<'_> {
    /// A command of a client of Sentinel.
    pub(super) async fn take_from_sentinel(
        &mut self,
        name: &[u8],
        request: &Request<'_>,
    ) -> std::io::Result<()> {
        if self.hangs_up_on_http(name) {
            return Ok(());
        }
        let args: Vec<&[u8]> = request.iter().collect();
        let word = String::from_utf8_lossy(name).to_lowercase();
        if let Err(error) = self.await_turn(name, request).await {
            self.complain(error);
            self.session.leaving = true;
            return Ok(());
        }
        let is_common = COMMON.contains(&word.as_str());
        if !self.session.authenticated || is_common && !self.is_told_of_events() {
            if word == "reset" {
                self.end_events();
            }
            return self.answer(&args).await;
        }
        match (word.as_str(), &args[1..]) {
            ("quit", _) => return self.answer(&args).await,
            ("reset", _) => {
                self.end_events();
                return self.answer(&args).await;
            }
            ("ping", [] | [_]) if self.is_told_of_events() => {
                let mut writer = self.writer();
                writer.array(2);
                writer.bulk(b"pong");
                writer.bulk(args.get(1).copied().unwrap_or_default());
            }
            ("subscribe" | "psubscribe", [_, ..]) | ("unsubscribe" | "punsubscribe", _) => {
                self.listen_to_events(&word, &args[1..]);
            }
            _ if self.is_told_of_events() => self.complain(&format!(
                "ERR Can't execute '{word}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                 allowed in this context"
            )),
            ("ping", _) => return self.answer(&args).await,
            ("info", sections) => {
                let text = sentinel::inform(self.clients, &self.session, sections);
                self.writer().verbatim(text.as_bytes());
            }
            ("role", []) => sentinel::role(self.clients, &mut self.output.writer(self.session.version)),
            ("sentinel", [_, ..]) => self.answer_sentinel(&args[1..]).await,
            ("subscribe" | "psubscribe" | "role" | "sentinel", _) => {
                self.complain(&format!("ERR wrong number of arguments for '{word}' command"));
            }
            _ => self.complain(&onecopy_keyspace::command::unknown_command(&args)),
        }
        self.pass_on_replies().await
    }

    /// In RESP2, a client that hears of events can say nothing else.
    fn is_told_of_events(&self) -> bool {
        self.session.version == onecopy_resp::Version::Two
            && self.listening.as_ref().is_some_and(|listening| listening.count() > 0)
    }

    async fn answer_sentinel(&mut self, args: &[&[u8]]) {
        let mut writer = self.output.writer(self.session.version);
        let start = writer.position();
        let operation = match sentinel::answer(self.clients, args, &mut writer) {
            Ok(Answer::Written) => return,
            Ok(Answer::After(operation)) => operation,
            Err(error) => {
                writer.truncate(start);
                return self.complain(&error);
            }
        };
        // Whoever may not hand over at the port of Redis may not do it here.
        if let Some(error) = commands::denied(self.clients, &self.session, &[b"failover"]) {
            return self.complain(&error);
        }
        match failover::outcome(self.clients.operators.ask(operation).await) {
            Ok(()) => self.writer().ok(),
            Err(error) => self.complain(&error),
        }
    }

    fn listen_to_events(&mut self, word: &str, names: &[&[u8]]) {
        let words = ["subscribe", "psubscribe", "unsubscribe", "punsubscribe"];
        let Some(word) = words.into_iter().find(|known| *known == word) else { return };
        if self.listening.is_none() {
            let mailbox = self.mailbox();
            self.clients.knowledge.events.add(self.session.id, mailbox);
        }
        let listening = self.listening.get_or_insert_with(|| Box::new(Listening::default()));
        let mut writer = self.output.messages(self.session.version);
        if let Err(error) = listening.change(word, names, &mut writer) {
            self.complain(error);
        }
    }

    /// Hears of nothing any more.
    pub(super) fn end_events(&mut self) {
        if self.listening.take().is_some() {
            self.clients.knowledge.events.remove(self.session.id);
        }
    }
}
