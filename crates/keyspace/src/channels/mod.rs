//! Publish and subscribe: who listens to which channels, and what has been published and not fetched.
//!
//! A connection that subscribes is a *listener*. Its names are replicated, so `PUBLISH` knows everybody who
//! listens, on whichever node, and `SUBSCRIBE` is answered once whatever is published afterwards will reach
//! it. What is published is put into the *feed* of each coordinator that has a listener for it, once however
//! many of its listeners it is for: the node finds out which of its connections want it.
//!
//! A node fetches its feed with a command that is parked while there is nothing (`LISTEN`, see
//! [`request`](crate::request)), and that says what was heard before. Only then is it gone. So whatever
//! becomes of an answer, and whoever is primary, nothing is lost and nothing doubled.
//!
//! A feed has an end: when its coordinator is gone, or does not fetch what all feeds together have no room
//! for. Then its listeners end with it. A node that is there after all hears of it: a feed that begins anew
//! has another *epoch*, and whoever subscribed in an earlier one has its connection closed. Messages are
//! numbered within an epoch, without a gap (rule `NoSilentGap`).

mod interest;
mod message;

use std::sync::Arc;

use onecopy_core::{Incarnation, Output, Rule, Rules, Timestamp};

pub(crate) use interest::Interest;
pub use interest::{ListenerId, Sort};
pub use message::Message;

use crate::error::Outcome;
use crate::feeds::{Feeds, Mark};
use crate::waiters::Address;

/// Everything about channels.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    pub(crate) interest: Interest,
    pub(crate) feeds: Feeds<Message>,
}

impl Channels {
    pub(crate) fn memory(&self) -> u64 {
        self.interest.memory() + self.feeds.memory()
    }

    /// When time alone changes something here.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.feeds.due()
    }

    /// A listener listens to these names as well.
    ///
    /// # Errors
    /// There is no room.
    pub(crate) fn subscribe(
        &mut self,
        (listener, sort): (ListenerId, Sort),
        names: &[&[u8]],
        memory_max: u64,
    ) -> Result<Mark, crate::CommandError> {
        self.interest.add((listener, sort), names, memory_max)?;
        Ok(self.feeds.mark(listener.coordinator))
    }

    /// A listener does not listen to these names any more; without names, to none of this sort.
    pub(crate) fn unsubscribe(&mut self, (listener, sort): (ListenerId, Sort), names: &[&[u8]]) -> Mark {
        match names {
            [] => self.interest.remove_sort(listener, sort),
            names => names.iter().for_each(|name| self.interest.remove(listener, sort, name)),
        }
        self.feeds.mark(listener.coordinator)
    }

    /// Puts a message into the feeds of those who listen. Where the whole state is to occupy at most
    /// `memory_max` bytes (0: no limit), feeds take a quarter of it.
    pub(crate) fn publish(
        &mut self,
        rules: Rules,
        message: &Arc<Message>,
        memory_max: u64,
        mut pay: impl FnMut(usize),
    ) {
        let mut heard = self.interest.heard_by(message, &mut pay);
        heard.sort_unstable();
        if rules.hold(Rule::OncePerSubscriber) {
            heard.dedup();
        }
        for coordinator in heard {
            self.feeds.put(coordinator, message.clone(), memory_max);
        }
        self.end_broken(rules);
    }

    /// The listeners of feeds that broke end.
    fn end_broken(&mut self, rules: Rules) {
        for coordinator in self.feeds.take_broken(rules) {
            self.interest.end(coordinator);
        }
    }

    /// A coordinator fetches its feed, of which it has heard so much.
    pub(crate) fn listen(&mut self, rules: Rules, address: Address, heard: Mark) {
        self.feeds.listen(address, heard);
        self.end_broken(rules);
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        self.feeds.outputs()
    }

    /// These coordinators are absent from now on.
    pub(crate) fn absent(&mut self, clock: Timestamp, is_absent: &dyn Fn(Incarnation) -> bool) {
        self.feeds.absent(clock, is_absent);
    }

    /// A coordinator is there.
    pub(crate) fn present(&mut self, coordinator: Incarnation) {
        self.feeds.present(coordinator);
    }

    /// Ends the feeds of those who have been absent for too long.
    pub(crate) fn end_absent(&mut self, rules: Rules, clock: Timestamp) {
        for coordinator in self.feeds.end_absent(rules, clock) {
            self.interest.end(coordinator);
        }
    }

    /// Ends the feeds of coordinators that are gone for good.
    pub(crate) fn retain(&mut self, is_known: &dyn Fn(Incarnation) -> bool) {
        for coordinator in self.feeds.retain(is_known) {
            self.interest.end(coordinator);
        }
    }
}

/// What is said where there is no room for another subscription.
pub(crate) fn no_room() -> Outcome {
    Err(crate::CommandError::Other(
        "ERR too many subscriptions of all clients together; unsubscribe from some, or try again later",
    ))
}

#[cfg(test)]
mod tests;
