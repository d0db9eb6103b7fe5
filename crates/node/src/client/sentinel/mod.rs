//! What a client of Redis Sentinel is told: who is the master of which name, and what has happened to it. A
//! master is a shard of a database, and has the name of the database.
//!
//! Nothing here watches or decides anything: that is the view service's. What is told follows from the view
//! table, the views of the groups, and from which nodes this one has a connection to.

mod answers;
mod changes;
mod events;
mod instance;
mod listening;

pub(super) use answers::{Answer, answer, inform, role};
pub(crate) use events::Events;
pub(super) use listening::Listening;

use onecopy_views::MAIN_NAME;

use crate::config::Config;
use crate::knowledge::Knowledge;
use crate::topology::{Shard, Topology};

/// Something that a client of Sentinel hears of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// What has happened: `+switch-master`, …
    pub(crate) channel: &'static str,
    /// To what.
    pub(crate) payload: String,
}

/// A master, as clients of Sentinel call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Master {
    pub(crate) name: String,
    pub(crate) shard: Shard,
}

/// The masters of a database. `other_name`: what it is called as well.
fn masters_of(database: &str, topology: Topology, other_name: Option<&str>) -> Vec<Master> {
    let is_one = topology.shards.len() == 1;
    let mut masters = Vec::new();
    for (number, shard) in topology.shards.into_iter().enumerate() {
        for name in std::iter::once(database).chain(other_name) {
            let name = if is_one { name.to_owned() } else { format!("{name}-{}", number + 1) };
            masters.push(Master { name, shard: shard.clone() });
        }
    }
    masters
}

/// All masters that this node can say something of.
pub(crate) fn masters(knowledge: &Knowledge, alias: &str) -> Vec<Master> {
    let table = knowledge.table();
    let masters = table.databases().flat_map(|(_, database)| {
        let other_name = Some(alias).filter(|alias| !alias.is_empty() && database.name == MAIN_NAME);
        masters_of(&database.name, knowledge.topology(&database.name, false), other_name)
    });
    masters.filter(|master| master.shard.primary.is_some()).collect()
}

/// The master with this name.
fn find(knowledge: &Knowledge, config: &Config, name: &[u8]) -> Option<Master> {
    let name = std::str::from_utf8(name).ok()?;
    let database = if name == config.sentinel_alias { MAIN_NAME } else { name };
    let is_one = |master: &Master| master.name == name;
    // One database is looked at, and all of them only where a name may have a number behind it.
    let other_name = (database != name).then_some(name);
    let found = masters_of(database, knowledge.topology(database, false), other_name);
    let found = found.into_iter().find(|master| is_one(master) && master.shard.primary.is_some());
    found.or_else(|| {
        name.contains('-').then(|| masters(knowledge, &config.sentinel_alias).into_iter().find(is_one))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::tests::{table, topology};

    #[test]
    fn a_database_of_several_shards_has_several_masters() {
        let one = topology(&table(), false, 0);
        let names = |topology: Topology, other| -> Vec<String> {
            masters_of("main", topology, other).into_iter().map(|master| master.name).collect()
        };
        assert_eq!(names(one.clone(), None), ["main"]);
        assert_eq!(names(one.clone(), Some("mymaster")), ["main", "mymaster"]);
        let shards = vec![one.shards[0].clone(), one.shards[0].clone()];
        assert_eq!(names(Topology { shards, ..one }, None), ["main-1", "main-2"]);
    }
}
