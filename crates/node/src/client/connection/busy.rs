//! What a client hears while a script runs for longer than `busy-reply-threshold`: `-BUSY`, as from Redis.
//!
//! Every copy executes a script, each at its own pace, and who is told `-BUSY` is who asks at a node whose
//! copy is in the middle of it. Nothing that was refused so is executed. What had been handed in before
//! waits, and is answered when the script has ended.
//!
//! `SCRIPT KILL` and `FUNCTION KILL` stop what only reads: a single copy executes that. Of what is in the log
//! all copies would have to stop at the same instruction; there they cannot do what they do in Redis. A
//! script that does not end is stopped by itself after so much work, and undone.

use onecopy_keyspace::command::{self, Spec};
use onecopy_resp::Request;

use super::Connection;
use crate::status::BusyScript;

const BUSY_SCRIPT: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const BUSY_FUNCTION: &str =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
const UNKILLABLE: &str = "UNKILLABLE every copy executes this script, and all must stop at the same instruction: it is \
                          stopped by itself after so much work, and then all that it has written is undone";

/// The commands for data that are answered all the same, as in Redis.
const ALLOWED: &[&str] = &["discard", "multi", "unwatch", "watch"];

impl Connection<'_> {
    /// Answers a request, if a script runs for so long that it is not executed. What was asked for before is
    /// answered first, which may take as long as the script.
    pub(super) async fn answer_while_busy(
        &mut self,
        name: &[u8],
        request: &Request<'_>,
    ) -> std::io::Result<bool> {
        if !self.clients.knowledge.data.runs_scripts() || !self.session.authenticated {
            return Ok(false);
        }
        let threshold = self.clients.policy().parameters.busy_after;
        let group = self.session.selected.group;
        let Some(script) = self.clients.knowledge.data.busy_script(group, threshold) else {
            return Ok(false);
        };
        let is_exec = self.queue.is_some() && name.eq_ignore_ascii_case(b"exec");
        let spec = command::lookup(name).filter(|spec| !ALLOWED.contains(&spec.name));
        if spec.is_none() && !is_exec {
            return Ok(false);
        }
        if self.segment.builder.count() > 0 {
            self.submit().await?;
            // It has ended, most likely.
            return Ok(false);
        }
        let busy = if script.is_function { BUSY_FUNCTION } else { BUSY_SCRIPT };
        match spec.map(|spec| asked_of_script(spec, request)) {
            Some(Some(Asked::Kill { function })) if function == script.is_function && script.reads => {
                self.clients.knowledge.data.kill_script(group);
                self.writer().ok();
            }
            Some(Some(Asked::Kill { function })) if function == script.is_function => {
                self.complain(UNKILLABLE)
            }
            Some(Some(Asked::Stats)) if script.is_function => self.reply_running(&script),
            _ if is_exec => {
                self.leave_transaction();
                self.complain(&format!("EXECABORT Transaction discarded because of: {busy}"));
            }
            _ if self.queue.is_some() => self.refuse_queue(busy),
            _ => self.complain(busy),
        }
        Ok(true)
    }

    /// `FUNCTION STATS`. Which function it is, and with which arguments, is known to the copy that is in the
    /// middle of it, and to nobody else.
    fn reply_running(&mut self, script: &BusyScript) {
        let mut reply = self.output.writer(self.session.version);
        reply.map(2);
        reply.bulk(b"running_script");
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(b"");
        reply.bulk(b"command");
        reply.array(1);
        reply.bulk(script.command.as_bytes());
        reply.bulk(b"duration_ms");
        reply.integer(i64::try_from(script.running.as_millis()).unwrap_or(i64::MAX));
        reply.bulk(b"engines");
        reply.map(1);
        reply.bulk(b"LUA");
        reply.map(2);
        for (name, count) in [("libraries_count", script.libraries), ("functions_count", script.functions)] {
            reply.bulk(name.as_bytes());
            reply.length(usize::try_from(count).unwrap_or(usize::MAX));
        }
    }
}

/// What is asked about a script that runs.
enum Asked {
    Kill { function: bool },
    Stats,
}

fn asked_of_script(spec: &Spec, request: &Request<'_>) -> Option<Asked> {
    let sub = request.get(1).filter(|_| request.len() == 2)?;
    let is = |word: &str| sub.eq_ignore_ascii_case(word.as_bytes());
    match spec.name {
        "script" | "function" if is("kill") => Some(Asked::Kill { function: spec.name == "function" }),
        "function" if is("stats") => Some(Asked::Stats),
        _ => None,
    }
}
