//! What stands before a command: who the client is and what it may do, whether clients are paused, and
//! whether the client wants to hear the reply.

use onecopy_keyspace::command::{self, catalogue};
use onecopy_resp::Request;

use super::Connection;
use crate::client::commands;
use crate::client::session::{Hearing, Who};

/// What is answered although nothing is known of the cluster.
const HARMLESS: [&[u8]; 7] = [b"ping", b"echo", b"quit", b"info", b"command", b"post", b"host:"];

impl Connection<'_> {
    /// Whether the client may not do this; it is told so. Those who may do everything are not held up.
    pub(super) async fn is_denied(&mut self, request: &Request<'_>) -> std::io::Result<bool> {
        if self.session.who.rights.is_none() || !self.session.authenticated {
            return Ok(false);
        }
        let args: Vec<&[u8]> = request.iter().collect();
        // What is wrong is complained about by others.
        let is_right = catalogue::asked(&args).is_some_and(|(command, subcommand)| {
            catalogue::all()[subcommand.unwrap_or(command)].takes(args.len())
        });
        let denied = if is_right { commands::denied(self.clients, &self.session, &args) } else { None };
        let Some(error) = denied else { return Ok(false) };
        self.submit().await?;
        match self.queue.is_some() {
            true => self.refuse_queue(&error),
            false => self.complain(&error),
        }
        Ok(true)
    }

    /// Waits while clients are paused. What is queued waits with its `EXEC`.
    pub(super) async fn wait_out_pause(&mut self, name: &[u8], request: &Request<'_>) -> std::io::Result<()> {
        let queues = self.queue.is_some() && !name.eq_ignore_ascii_case(b"exec");
        if queues || !self.clients.register.pause.is_on() {
            return Ok(());
        }
        let writes = match command::lookup(name) {
            Some(spec) => command::may_replicate(spec, &request.iter().take(2).collect::<Vec<_>>()),
            None => self.queue.as_ref().is_some_and(|queue| queue.writes()),
        };
        // What was asked for before is answered meanwhile.
        self.submit().await?;
        self.write()?;
        let (pause, ending) = (&self.clients.register.pause, self.ending.clone());
        tokio::select! {
            () = pause.pass(writes) => {}
            () = ending.told() => {}
        }
        Ok(())
    }

    /// As long as nothing is known of the cluster, nobody can say who the client is, and what is for more
    /// than this connection waits. Whether it need not wait any more.
    pub(super) async fn await_policy(&mut self, name: &[u8]) -> bool {
        let is_harmless = |word: &&[u8]| name.eq_ignore_ascii_case(word);
        if self.knows_policy || HARMLESS.iter().any(is_harmless) {
            return true;
        }
        let patience = self.clients.config.timeouts.request();
        let known = self.clients.knowledge.table_shows(|table| table.version() > 0);
        let _ = tokio::time::timeout(patience, known).await;
        self.look_at_policy();
        self.knows_policy
    }

    /// Something else may be set for the whole cluster, and the client be somebody else, or nobody.
    pub(super) fn look_at_policy(&mut self) {
        let policy = self.clients.policy();
        if policy.number == self.policy_number {
            return;
        }
        self.policy_number = policy.number;
        let knew_policy = std::mem::replace(&mut self.knows_policy, policy.is_known);
        match policy.user(&self.session.who.name) {
            // It was let in before anybody could say whether it may come in.
            _ if !knew_policy && !self.session.has_said_who => {
                (self.session.who, self.session.authenticated) = commands::default_user(self.clients);
            }
            Some(user) => self.session.who = Who::new(&self.session.who.name, user.clone()),
            None => self.ending.tell(),
        }
        // What was queued may not be allowed any more.
        if let Some(queue) = self.queue.as_mut().filter(|_| self.session.who.rights.is_some()) {
            queue.refuse();
        }
    }

    /// Whether the client wants to hear the replies to what comes next.
    pub(super) async fn hear(&mut self) -> std::io::Result<()> {
        let hearing = self.session.hearing;
        if hearing == Hearing::All && self.output.is_heard() {
            return Ok(());
        }
        if hearing == Hearing::Skips {
            // The command that is skipped is over.
            self.submit().await?;
        }
        self.session.hearing = match hearing {
            Hearing::SkipsNext => Hearing::Skips,
            Hearing::Skips => Hearing::All,
            other => other,
        };
        self.output.set_heard(self.session.hearing == Hearing::All);
        Ok(())
    }

    /// Whoever gives a password may have to wait: others may be guessing.
    pub(super) async fn await_turn(&self, name: &[u8], request: &Request<'_>) -> Result<(), &'static str> {
        let is_auth = |word: &[u8]| word.eq_ignore_ascii_case(b"auth");
        let gives_password =
            is_auth(name) || (name.eq_ignore_ascii_case(b"hello") && request.iter().any(is_auth));
        if gives_password {
            self.clients.guesses.turn(self.session.address).await?;
        }
        Ok(())
    }
}
