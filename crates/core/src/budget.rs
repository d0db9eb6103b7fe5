//! How a machine that executes something long lets others have their turn.
//!
//! Execution is cut into *slices*. Whoever drives a machine gives it so many steps; a command says what it
//! does ([`Budget::spend`]), and when the steps of a slice are used up it pauses in the middle of what it
//! does, until it is given the next slice. What a step is, the machine says: about a tenth of a microsecond.
//!
//! Steps are counted, never measured: a command pauses at the same place on every run. Where it pauses has no
//! effect on what comes of it, because nobody can see or change the state meanwhile; copies may cut the same
//! command differently.

use std::cell::Cell;
use std::fmt;

/// What a command has of the thread that executes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget<'a>(Option<&'a Slices<'a>>);

impl Budget<'_> {
    /// Nobody else waits for a turn: execution never pauses.
    pub const ENDLESS: Self = Self(None);

    /// So many steps are about to be done, or have just been done. Pauses when the slice has no more of them:
    /// once, however many they are, so that whoever does much does it in pieces.
    #[inline]
    pub fn spend(self, steps: usize) {
        if let Some(slices) = self.0 {
            slices.spend(steps as u64);
        }
    }

    /// A command is about to take so many steps, whether it pauses or not: whoever made the slices may want
    /// to know ([`Slices::charged`]). Unlike what is spent, that depends on the command and the state alone.
    #[inline]
    pub fn charge(self, steps: usize) {
        if let Some(slices) = self.0 {
            slices.charged.set(slices.charged.get().saturating_add(steps as u64));
        }
    }

    /// Whether whoever drives the machine wants the command to stop. Only what changes nothing may ask:
    /// others must do the same on every copy.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        self.0.is_some_and(|slices| slices.is_stopped.get())
    }

    /// A command begins. Its name is for those who want to know what takes so long.
    #[inline]
    pub fn begin(self, command: &'static str) {
        if let Some(slices) = self.0 {
            slices.command.set(command);
            slices.has_begun.set(true);
            slices.is_stopped.set(false);
        }
    }
}

/// Instead of the steps of a slice: the command is to stop, if it can. It has none until it does.
pub const STOP: u64 = u64::MAX;

/// What is in the middle of being executed when a slice ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The command.
    pub command: &'static str,
    /// It alone has used up the whole slice.
    pub is_long: bool,
}

/// The slices of one piece of work, as whoever drives the machine sees them.
pub struct Slices<'a> {
    left: Cell<u64>,
    command: Cell<&'static str>,
    /// A command has begun within this slice.
    has_begun: Cell<bool>,
    charged: Cell<u64>,
    /// The command is to stop.
    is_stopped: Cell<bool>,
    pause: &'a dyn Fn(Pause) -> u64,
}

impl<'a> Slices<'a> {
    /// The first slice has so many steps. When they are used up `pause` is called; it returns how many the
    /// next slice has, or [`STOP`]. Then the command goes on.
    #[must_use]
    pub fn new(steps: u64, pause: &'a dyn Fn(Pause) -> u64) -> Self {
        Self {
            left: Cell::new(steps),
            command: Cell::new(""),
            has_begun: Cell::new(true),
            charged: Cell::new(0),
            is_stopped: Cell::new(false),
            pause,
        }
    }

    /// What commands spend from.
    #[must_use]
    pub fn budget(&self) -> Budget<'_> {
        Budget(Some(self))
    }

    /// How many steps were charged, of all slices.
    #[must_use]
    pub fn charged(&self) -> u64 {
        self.charged.get()
    }

    /// How many steps the slice still has.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    #[inline]
    fn spend(&self, steps: u64) {
        match self.left.get().checked_sub(steps) {
            Some(left) => self.left.set(left),
            None => self.pause(),
        }
    }

    #[cold]
    fn pause(&self) {
        let is_long = !self.has_begun.replace(false);
        let steps = (self.pause)(Pause { command: self.command.get(), is_long });
        self.is_stopped.set(steps == STOP);
        self.left.set(if steps == STOP { 0 } else { steps });
    }
}

impl fmt::Debug for Slices<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slices").field("left", &self.left).field("command", &self.command).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_pauses_when_it_is_used_up_and_not_before() {
        let pauses = Cell::new(0);
        let pause = |Pause { command, is_long }| {
            assert_eq!((command, is_long), ("keys", pauses.get() > 0));
            pauses.set(pauses.get() + 1);
            5
        };
        let slices = Slices::new(3, &pause);
        let budget = slices.budget();
        budget.begin("keys");
        (0..3).for_each(|_| budget.spend(1));
        assert_eq!((pauses.get(), slices.left()), (0, 0));
        budget.spend(1);
        assert_eq!((pauses.get(), slices.left()), (1, 5));
        budget.spend(1_000);
        assert_eq!((pauses.get(), slices.left()), (2, 5), "once, however much it is");
    }

    #[test]
    fn a_command_is_long_when_it_uses_up_a_slice_alone() {
        let seen = std::cell::RefCell::new(Vec::new());
        let pause = |Pause { command, is_long }| {
            seen.borrow_mut().push((command, is_long));
            2
        };
        let slices = Slices::new(2, &pause);
        let budget = slices.budget();
        for command in ["get", "keys", "set"] {
            budget.begin(command);
            (0..if command == "keys" { 5 } else { 2 }).for_each(|_| budget.spend(1));
        }
        assert_eq!(*seen.borrow(), [("keys", false), ("keys", true), ("set", false)]);
    }

    #[test]
    fn a_command_hears_that_it_is_to_stop_and_the_next_one_does_not() {
        let next = Cell::new(STOP);
        let pause = |_| next.replace(3);
        let slices = Slices::new(0, &pause);
        let budget = slices.budget();
        budget.begin("eval_ro");
        assert!(!budget.is_stopped());
        budget.spend(1);
        assert!(budget.is_stopped() && slices.left() == 0);
        budget.begin("get");
        assert!(!budget.is_stopped());
        budget.spend(1);
        assert_eq!((budget.is_stopped(), slices.left()), (false, 3));
    }

    #[test]
    fn without_slices_nothing_pauses() {
        Budget::ENDLESS.begin("keys");
        Budget::ENDLESS.spend(usize::MAX);
    }
}
