//! `WAIT` and `WAITAOF`: nothing is waited for, because every acknowledged write is on all members already.

use onecopy_core::GroupId;
use onecopy_resp::Writer;

use super::{NOT_INTEGER, parse};
use crate::client::Clients;
use crate::client::info::backups;
use crate::config::Durability;

fn check_timeout(timeout: &[u8]) -> Result<(), String> {
    let timeout = parse::<i64>(timeout).ok_or("ERR timeout is not an integer or out of range")?;
    if timeout < 0 { Err("ERR timeout is negative".to_owned()) } else { Ok(()) }
}

/// `WAIT numreplicas timeout`: both must make sense, although neither matters.
pub(super) fn wait(
    clients: &Clients,
    group: GroupId,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let [replicas, timeout] = args else { return Err(super::SYNTAX.to_owned()) };
    parse::<i64>(replicas).ok_or(NOT_INTEGER)?;
    check_timeout(timeout)?;
    reply.integer(backups(clients, group));
    Ok(())
}

/// `WAITAOF numlocal numreplicas timeout`: how many disks have what this connection wrote, the primary's and
/// those of the backups. None, if writes are acknowledged once the operating system has them.
pub(super) fn waitaof(
    clients: &Clients,
    group: GroupId,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let [local, replicas, timeout] = args else { return Err(super::SYNTAX.to_owned()) };
    let local = parse::<i64>(local).ok_or(NOT_INTEGER)?;
    if !(0..=1).contains(&local) {
        return Err("ERR value is out of range, must be between 0 and 1".to_owned());
    }
    if parse::<i64>(replicas).ok_or(NOT_INTEGER)? < 0 {
        return Err("ERR value is out of range, must be positive".to_owned());
    }
    check_timeout(timeout)?;
    let is_synced = clients.config.durability == Durability::Disk;
    reply.array(2);
    reply.integer(i64::from(is_synced));
    reply.integer(if is_synced { backups(clients, group) } else { 0 });
    Ok(())
}
