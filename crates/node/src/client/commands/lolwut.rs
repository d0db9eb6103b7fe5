//! `LOLWUT`: the version, and something to look at.

use onecopy_core::GroupId;
use onecopy_resp::Writer;

use crate::client::Clients;
use crate::client::info::{REDIS_VERSION, backups};

/// As many boats as there are copies: all of them carry the same.
pub(super) fn lolwut(clients: &Clients, group: GroupId, reply: &mut Writer<'_>) {
    const BOATS_MAX: i64 = 8;
    let copies = (backups(clients, group) + 1).clamp(1, BOATS_MAX);
    let row = |part: &str| part.repeat(usize::try_from(copies).unwrap_or(1));
    let text = format!(
        "{}\n{}\n{}\n{}\n\nThe same on every one of them. Onecopy {}, Redis ver. {REDIS_VERSION}\n",
        row("    |\\    "),
        row("    |_\\   "),
        row(" \\--+--/ "),
        row("~~\\__/~~~"),
        env!("CARGO_PKG_VERSION"),
    );
    reply.verbatim(text.as_bytes());
}
