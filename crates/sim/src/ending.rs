//! The end of a run: the faults stop, the cluster recovers, and at last nobody asks for anything.

use onecopy_core::NodeId;
use onecopy_views::Command;

use crate::checks::liveness;
use crate::clock::{MS, SECOND, Time};
use crate::env::Event;
use crate::profile::Profile;
use crate::trace::violated;
use crate::world::World;

/// How long the cluster may take, after the faults, for each copy that it may have to make: one is made after
/// the other.
const RECOVERY_MAX: Time = 60 * SECOND;
/// The same where a message or a window holds so little that a copy gets one entry in a round trip, or for
/// each that is read back from the disk: there may be some thousands of them.
const NARROW_RECOVERY_MAX: Time = 150 * SECOND;
/// What holds no more entries than these is so narrow; many are larger than a value alone makes them.
const NARROW: usize = 16;
/// When recovery takes longer than this, clients pause.
const HASTE_MAX: Time = 10 * SECOND;
/// For how long, at the most.
const BREATH: Time = SECOND;
/// So many times longer do those pause who listen or cache, while the cluster recovers.
const PATIENT: Time = 8;
/// How long it gets to settle when nobody asks for anything any more.
const SETTLING: Time = 3 * SECOND;
/// How often it is looked again whether it has settled, and how soon.
const LOOKS_MAX: u32 = 100;
/// See there.
const LOOK_INTERVAL: Time = 37 * MS;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Things go wrong.
    Faults,
    /// Nothing goes wrong any more, until the time given.
    Recovery(Time),
    /// Nobody asks for anything any more; there have been so many views. And how often it may still be too
    /// early to tell.
    Settling(u64, u32),
    Over,
}

impl Phase {
    /// How long those who listen or cache pause, who would pause so long. With so many who ask at once, a
    /// learner with a small window would never catch up.
    pub(crate) fn stretches(self, pause: Time) -> Time {
        match self {
            Self::Recovery(_) => PATIENT * pause,
            Self::Faults | Self::Settling(..) | Self::Over => pause,
        }
    }
}

/// How long the cluster may take to be as good as new after the faults.
fn recovery_max(profile: &Profile) -> Time {
    let is_narrow = profile.window_bytes_max.min(profile.prepare_bytes_max) <= NARROW * profile.entry_bytes();
    let each = if is_narrow { NARROW_RECOVERY_MAX } else { RECOVERY_MAX };
    each * Time::from(profile.copies.max(2) - 1)
}

impl World {
    /// Whether things still go wrong.
    pub(crate) fn is_faulty(&self) -> bool {
        self.phase == Phase::Faults
    }

    pub(crate) fn heal(&mut self) {
        let env = &mut self.env;
        env.note(NodeId(0), || "the faults are over".to_owned());
        env.network.heal();
        (env.profile.loss, env.profile.double, env.profile.late, env.profile.strays) = (0, 0, 0, 0);
        for node in &mut self.nodes {
            node.clock.set_right(env.time);
            (node.paused_until, node.stalled_until, node.disk_stalled_until) = (0, 0, 0);
            (node.executes_until, node.busy_since) = (node.executes_until.min(env.time), None);
            (node.slow_disk, node.slow_node) = (0, 0);
        }
        self.compare_clocks();
        self.mend_all();
        if self.env.profile.rolls.is_some() {
            self.end_roll();
        }
        let env = &mut self.env;
        self.clients.iter_mut().for_each(|client| client.served = 0);
        env.checks.groups.values_mut().for_each(|group| group.served = 0);
        self.phase = match liveness::is_owed(env, &self.nodes) {
            true => Phase::Recovery(env.time + recovery_max(&env.profile)),
            false => Phase::Over,
        };
        env.schedule(env.time + SECOND, Event::Look);
    }

    pub(crate) fn look_at_the_whole(&mut self) {
        let was_drained = self.undrain_all();
        let is_held = self.newest_table().is_some_and(onecopy_views::Table::is_level_held);
        if is_held {
            self.operate(&Command::HoldLevel { is_held: false });
        }
        let missing = match self.phase {
            Phase::Recovery(_) => liveness::missing(&self.env, &self.nodes, &self.clients, was_drained)
                .or_else(|| self.still_carries()),
            _ => None,
        };
        let env = &mut self.env;
        let most = recovery_max(&env.profile);
        match self.phase {
            Phase::Recovery(until) => match missing {
                None => {
                    env.stats.recovery = (env.time + most - until, self.seed);
                    self.phase = Phase::Settling(env.checks.view_changes(), LOOKS_MAX);
                    env.schedule(env.time + SETTLING, Event::Look);
                }
                Some(missing) if env.time >= until => match liveness::is_owed(env, &self.nodes) {
                    true => violated("liveness", missing),
                    // Two failures at once: a change that was on its way when a disk was lost left the group
                    // without a copy.
                    false => self.phase = Phase::Over,
                },
                Some(_) => {
                    if env.time + most >= until + HASTE_MAX {
                        // Clients may write faster than a small window carries to a learner, and would for
                        // ever.
                        env.profile.think = env.profile.think.max(BREATH);
                    }
                    env.schedule(env.time + SECOND / 2, Event::Look);
                }
            },
            Phase::Settling(views, looks) => {
                if liveness::settled(env, &self.nodes, views, looks == 0) {
                    self.ears_have_heard_all();
                    self.shelves_are_current();
                    self.everything_is_carried();
                    self.phase = Phase::Over;
                } else {
                    self.phase = Phase::Settling(views, looks - 1);
                    env.schedule(env.time + LOOK_INTERVAL, Event::Look);
                }
            }
            Phase::Faults | Phase::Over => {}
        }
    }
}
