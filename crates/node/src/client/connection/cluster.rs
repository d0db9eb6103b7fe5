//! What stands before a command of a client of Redis Cluster: what Redis refuses in cluster mode, keys of
//! several slots, and slots that another node serves.

use onecopy_core::NodeId;
use onecopy_keyspace::command::{self, Kind, Spec};
use onecopy_resp::Request;

use super::Connection;
use crate::client::cluster::{refused_in_cluster, slot_of_keys};
use crate::client::commands;
use crate::client::info::has_copy;
use crate::client::role::address;

/// In which slots the keys of a transaction are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slots {
    #[default]
    None,
    One(u16),
    Several,
}

impl Slots {
    fn with(self, slot: u16) -> Self {
        match self {
            Self::None => Self::One(slot),
            Self::One(known) if known == slot => self,
            _ => Self::Several,
        }
    }
}

impl Connection<'_> {
    /// What a client of Redis Cluster is told instead of an answer, if something is wrong with where its keys
    /// are. Others are told nothing.
    pub(super) fn is_misplaced(&mut self, name: &[u8], request: &Request<'_>) -> Option<String> {
        if !self.session.front.is_cluster() || !self.session.authenticated {
            return None;
        }
        let spec = command::lookup(name).or_else(|| commands::lookup(name))?;
        // What is wrong with it otherwise is said by others.
        spec.check_arity(request.len()).ok()?;
        let redirects = self.clients.config.redirect;
        if has_one_key(spec) && !redirects && self.queue.is_none() {
            return None;
        }
        let args: Vec<&[u8]> = request.iter().collect();
        if let Some(refusal) = refused_in_cluster(spec, &args) {
            return Some(refusal);
        }
        let allowed = self.clients.config.cross_slot;
        let slot = match slot_of_keys(spec, &args, allowed) {
            Ok(slot) => slot?,
            Err(error) => return Some(error.to_owned()),
        };
        if self.queue.is_some() && !allowed {
            self.queued_slots = self.queued_slots.with(slot);
        }
        if redirects { self.moved(spec, slot) } else { None }
    }

    /// Whether the transaction that is complete has keys in several slots. It is over then.
    pub(super) fn spans_slots(&mut self) -> bool {
        std::mem::take(&mut self.queued_slots) == Slots::Several
    }

    /// Where a client is sent whose command is for a slot of which another node is the primary.
    fn moved(&self, spec: &Spec, slot: u16) -> Option<String> {
        let topology = self.clients.knowledge.topology(&self.session.front.database, true);
        let shard = topology.shard_of(slot)?;
        // Nobody is better than this node, which waits for the next primary.
        let primary = shard.primary.as_ref()?;
        if primary.node == NodeId(self.clients.config.node) {
            return None;
        }
        let reads_here = self.session.reads_only && spec.kind == Kind::Read;
        if reads_here && has_copy(self.clients, shard.group) {
            return None;
        }
        Some(format!("MOVED {slot} {}", address(primary)))
    }
}

/// Whether a command has one key, and no other that its arguments name.
fn has_one_key(spec: &Spec) -> bool {
    (spec.first_key, spec.last_key, spec.key_count_at) == (1, 1, 0)
        && !matches!(spec.name, "move" | "copy" | "sort" | "georadius" | "georadiusbymember")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_in_one_slot_or_in_several() {
        let slots = |all: &[u16]| all.iter().fold(Slots::None, |slots, slot| slots.with(*slot));
        assert_eq!(slots(&[]), Slots::None);
        assert_eq!(slots(&[5, 5]), Slots::One(5));
        assert_eq!(slots(&[5, 6, 5]), Slots::Several);
    }
}
