//! A full disk that has room again: the process begins anew ([`onecopy_host::room`]).

use onecopy_core::Instant;
use onecopy_host::Room;
use tracing::info;

use super::Control;
use crate::disk_room;
use crate::server::Ending;

impl Control {
    /// Looks whether there is room, if the log has found none.
    pub(super) fn mind_the_disk(&mut self, now: Instant) {
        if !self.knowledge.journal.wants_room() {
            return;
        }
        let room = self.room.get_or_insert_with(|| Room::wanted(now));
        let directory = &self.directory;
        if room.look(now, || disk_room::takes_writes(directory)) {
            info!("there is room on the disk again: the process begins anew");
            disk_room::forget_caches(&directory.join(onecopy_storage::LOG_DIRECTORY));
            let _ = self.endings.send(Ending::BeginsAnew);
        }
    }
}
