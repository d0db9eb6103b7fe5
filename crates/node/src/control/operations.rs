//! Operations on their way between nodes: questions of this node's operators, and what those of other nodes
//! ask of this one.

use onecopy_core::{GroupId, Instant, NodeId};
use onecopy_host::{ControlMessage, Share};
use onecopy_replica::HandoverError;
use onecopy_views::{Kind, Table};

use super::Control;
use super::operators::{Question, Request};
use crate::data::inbox::FromControl;

impl Control {
    /// An operator wants something of this node.
    pub(super) fn take_request(&mut self, request: Request) {
        let table = self.led_table();
        self.operators.take(self.clock.now(), request, &table);
    }

    /// The view table, with the leaders of Raft groups that this node has heard of.
    pub(super) fn led_table(&self) -> Table {
        self.plane.table().with_leaders(|group| self.knowledge.data.cached_view(group))
    }

    /// Asks what is to be asked now.
    pub(super) fn ask_questions(&mut self, now: Instant) {
        if self.operators.deadline().is_some_and(|due| due <= now) {
            // No table says who leads a Raft group now.
            let table = self.led_table();
            self.operators.learnt(&table);
        }
        for (request, question) in self.operators.questions(now) {
            match question {
                Question::Command(command) => {
                    let operate = ControlMessage::Operate { request, command };
                    self.plane.tell_view_nodes(&operate, &mut self.out);
                }
                Question::Members(change) => {
                    let change = ControlMessage::ChangeMembers { request, change };
                    self.plane.tell_view_nodes(&change, &mut self.out);
                }
                Question::Handover { group, primary, to, .. } => {
                    self.send(primary, ControlMessage::HandOver { request, group, to });
                }
            }
        }
    }

    /// Another node, or this one, has an operator who wants the primary here to make way.
    pub(super) fn asked_to_hand_over(&mut self, asker: (NodeId, u64), group: GroupId, to: Option<NodeId>) {
        let askers = self.handing_over.entry(group).or_default();
        if self.plane.table().kind(group) == Kind::Raft {
            // No table says when it is over: what fails is told to whoever asked last.
            askers.clear();
        }
        // A repetition: it is under way.
        if !askers.contains(&asker) {
            askers.push(asker);
            let _ =
                self.data[Share::holder(group, self.data.len())].send(FromControl::HandOver { group, to });
        }
    }

    /// The primary here could not make way.
    pub(super) fn handover_failed(&mut self, group: GroupId, error: HandoverError) {
        for (to, request) in self.handing_over.remove(&group).unwrap_or_default() {
            // It may be about to be one, or have been one until now: the question will be repeated to whoever
            // is.
            if error != HandoverError::NotPrimary {
                let outcome = Err(error.to_string());
                self.send(to, ControlMessage::Operated { request, outcome });
            }
        }
    }

    /// What the table says about operations that are under way; `before` is what it said until now.
    pub(super) fn follow_operations(&mut self, before: &Table, table: &Table) {
        let led = self.led_table();
        self.operators.learnt(&led);
        let view = |table: &Table, group| table.groups().get(&group).map(|group| group.view.number);
        // Whoever asked sees what has come of it, and asks again if it was something else.
        self.handing_over.retain(|group, _| view(table, *group) == view(before, *group));
    }
}
