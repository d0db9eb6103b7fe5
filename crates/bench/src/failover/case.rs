//! What can fail.

use super::Replication;
use super::roles::Roles;

/// One way for something to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Case {
    /// kill -9 of the primary.
    KillPrimary,
    /// kill -9 of the backup.
    KillBackup,
    /// kill -9 of the leader of the view service, which holds no copy.
    KillLeader,
    /// kill -9 of a node that is both.
    KillPrimaryAndLeader,
    /// SIGSTOP of the primary, and SIGCONT once the group is complete without it.
    PausePrimary,
    /// The same with the backup.
    PauseBackup,
    /// Nothing that the primary writes reaches its disk, and no error either.
    StallPrimary,
    /// The same with the backup.
    StallBackup,
    /// Nothing that the primary sends reaches the backup.
    CutPrimaryToBackup,
    /// Nothing that the backup sends reaches the primary.
    CutBackupToPrimary,
    /// All that passes between the primary and the backup takes long: each answers the other, and is not
    /// silent.
    SlowLink,
    /// `onecopy group handover`: nothing fails.
    Handover,
}

impl Case {
    pub(super) const ALL: [Self; 12] = [
        Self::KillPrimary,
        Self::KillBackup,
        Self::KillLeader,
        Self::KillPrimaryAndLeader,
        Self::PausePrimary,
        Self::PauseBackup,
        Self::StallPrimary,
        Self::StallBackup,
        Self::CutPrimaryToBackup,
        Self::CutBackupToPrimary,
        Self::SlowLink,
        Self::Handover,
    ];

    /// The case as the table names it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::KillPrimary => "kill -9 of the primary",
            Self::KillBackup => "kill -9 of the backup",
            Self::KillLeader => "kill -9 of the view leader",
            Self::KillPrimaryAndLeader => "kill -9 of the primary that is view leader",
            Self::PausePrimary => "SIGSTOP of the primary",
            Self::PauseBackup => "SIGSTOP of the backup",
            Self::StallPrimary => "the primary's disk hangs",
            Self::StallBackup => "the backup's disk hangs",
            Self::CutPrimaryToBackup => "primary to backup cut",
            Self::CutBackupToPrimary => "backup to primary cut",
            Self::SlowLink => "primary and backup are slow to reach each other",
            Self::Handover => "planned handover",
        }
    }

    /// Whether it happens to a database that is replicated like that. A Raft group has no business with the
    /// view service.
    pub(super) fn concerns(self, replication: Replication) -> bool {
        let is_of_views = matches!(self, Self::KillLeader | Self::KillPrimaryAndLeader);
        replication == Replication::PrimaryBackup || !is_of_views
    }

    pub(super) fn harms_a_link(self) -> bool {
        matches!(self, Self::CutPrimaryToBackup | Self::CutBackupToPrimary | Self::SlowLink)
    }

    pub(super) fn hangs_a_disk(self) -> bool {
        matches!(self, Self::StallPrimary | Self::StallBackup)
    }

    /// Whether the leader of the view service is to be the primary. Else it holds no copy, so that only one
    /// thing fails.
    pub(super) fn leader_is_primary(self) -> bool {
        self == Self::KillPrimaryAndLeader
    }

    /// The node that fails, if it is one.
    pub(super) fn victim(self, roles: Roles) -> Option<u32> {
        match self {
            Self::KillPrimary | Self::KillPrimaryAndLeader | Self::PausePrimary | Self::StallPrimary => {
                Some(roles.primary)
            }
            Self::KillBackup | Self::PauseBackup | Self::StallBackup => Some(roles.backup),
            Self::KillLeader => Some(roles.leader),
            Self::CutPrimaryToBackup | Self::CutBackupToPrimary | Self::SlowLink | Self::Handover => None,
        }
    }
}
