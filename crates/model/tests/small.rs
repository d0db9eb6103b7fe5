//! The smallest settings: no state violates anything, and what has to be possible happens.

use std::num::NonZeroUsize;
use std::time::Duration;

use onecopy_model::report::Limits;
use onecopy_model::settings::{self, Setting};

const LIMITS: Limits = Limits { threads: NonZeroUsize::MIN, timeout: Duration::from_secs(120) };

fn is_clean(setting: Setting) {
    let outcome = setting.check(LIMITS);
    println!("{setting}: {} states, {} different, depth {}", outcome.states, outcome.unique, outcome.depth);
    assert!(outcome.is_clean(), "{setting}: {:#?}", outcome);
    assert!(outcome.unique > 100, "{setting}: hardly anything happened");
}

#[test]
fn primary_backup_is_clean() {
    let settings = settings::small().into_iter().filter(|setting| matches!(setting, Setting::Replica(_)));
    settings.for_each(is_clean);
}

#[test]
fn raft_is_clean() {
    let settings = settings::small().into_iter().filter(|setting| matches!(setting, Setting::Raft(_)));
    settings.for_each(is_clean);
}

/// Disks that finish at once when no crash is left are a reduction. Without it there are more states, and no
/// more violations.
#[test]
fn slow_disks_change_nothing() {
    for setting in settings::small() {
        let fast = setting.check(LIMITS);
        if fast.unique > 40_000 {
            continue; // It would take minutes.
        }
        let slow = setting.with_slow_disks().check(LIMITS);
        assert!(slow.is_clean(), "{setting}, slow disks: {slow:#?}");
        assert!(slow.unique >= fast.unique, "{setting}: slow disks reach less");
    }
}

/// The same model gives the same number of states: nothing in it depends on addresses, seeds or the order of
/// threads.
#[test]
fn two_runs_agree() {
    let setting = settings::small()[0];
    let (one, other) = (setting.check(LIMITS), setting.check(LIMITS));
    assert_eq!((one.states, one.unique, one.depth), (other.states, other.unique, other.depth));
}
