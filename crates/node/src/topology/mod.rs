//! Who holds a database, as clients of Redis Cluster and of Redis Sentinel are told: a list of shards, each
//! with its slots, its primary and its replicas. It follows from the view table and the views of the groups,
//! and from nothing that was remembered: what has changed is told at once.
//!
//! A database has one shard today. Nothing here relies on that.

mod id;
mod place;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use onecopy_core::{GroupId, NodeId, View};
use onecopy_keyspace::slots::SLOTS;
use onecopy_views::{Kind, Table};

pub(crate) use id::{node_name, sentinel_name, shard_name};
pub(crate) use place::{Place, split};

/// One shard of a database: a group of copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// 40 hexadecimal digits, which stay.
    pub(crate) name: String,
    pub(crate) group: GroupId,
    /// The number of its view.
    pub(crate) epoch: u64,
    pub(crate) slots: RangeInclusive<u16>,
    /// Who orders the writes; `None` if this node knows of nobody.
    pub(crate) primary: Option<Place>,
    /// Who else has everything that is acknowledged, and takes clients.
    pub(crate) replicas: Vec<Place>,
    /// Who is about to have it.
    pub(crate) learners: Vec<Place>,
}

/// The shards of a database, and where everybody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    /// The node that is asked.
    pub(crate) me: NodeId,
    /// By their slots.
    pub(crate) shards: Vec<Shard>,
    /// The nodes that take clients of the database, and hold nothing of it.
    pub(crate) others: Vec<Place>,
}

/// What is known to the node that is asked.
pub(crate) struct Known<'a> {
    pub(crate) table: &'a Table,
    /// The name of the cluster.
    pub(crate) cluster: &'a str,
    pub(crate) me: NodeId,
    /// What the coordinators have heard, which may be newer than the table.
    pub(crate) heard: &'a dyn Fn(GroupId) -> Option<View>,
    /// Whether this node has a connection to another one.
    pub(crate) is_reached: &'a dyn Fn(NodeId) -> bool,
}

/// The slots of one of so many shards: in rows of the same length, or nearly so.
pub(crate) fn slots_of(shard: usize, shards: usize) -> RangeInclusive<u16> {
    let first = |shard: usize| (SLOTS * shard).div_ceil(shards) as u16;
    first(shard)..=first(shard + 1) - 1
}

/// The groups that hold a database, by their slots.
pub(crate) fn groups_of(table: &Table, database: &str) -> Vec<GroupId> {
    let named = table.databases().filter(|(_, known)| known.name == database);
    named.map(|(group, _)| group).collect()
}

impl Known<'_> {
    /// The view of a group, as new as this node knows it.
    pub(crate) fn view(&self, group: GroupId) -> Option<View> {
        let decided = self.table.groups().get(&group).map(|known| known.view.clone());
        // The table says of optimistic groups who has a copy, and nothing else does.
        let heard = Some(group).filter(|group| self.table.kind(*group) != Kind::Optimistic);
        let heard = heard.and_then(self.heard);
        [decided, heard].into_iter().flatten().max_by_key(|view| view.number)
    }

    /// Where clients of a database reach a node; `None` if it takes none.
    fn place(&self, node: NodeId, database: &str, is_cluster: bool) -> Option<Place> {
        let registration = self.table.nodes().get(&node)?;
        let (addresses, run) = (&registration.addresses, format!("{:040x}", registration.incarnation.0));
        let (host, port) = split(&addresses.endpoint(database, is_cluster)?.address)?;
        let bus = split(&addresses.peer).map_or(0, |(_, port)| port);
        let is_reached = node == self.me || (self.is_reached)(node);
        Some(Place { node, name: node_name(self.cluster, node), run, host, port, bus, is_reached })
    }

    /// Who orders the writes of a group. Every copy of an optimistic database takes them: this node, if it
    /// has one.
    fn primary(&self, group: GroupId, view: &View) -> NodeId {
        let is_mine = self.table.kind(group) == Kind::Optimistic && view.member(self.me).is_some();
        if is_mine { self.me } else { view.primary }
    }

    fn shard(&self, group: GroupId, slots: RangeInclusive<u16>, database: &str, is_cluster: bool) -> Shard {
        let view = self.view(group);
        let place = |node| self.place(node, database, is_cluster);
        let primary = view.as_ref().map(|view| self.primary(group, view));
        let members = view.iter().flat_map(|view| &view.members).map(|member| member.node);
        let learners = view.iter().flat_map(|view| &view.learners).map(|learner| learner.node);
        let mut shard = Shard {
            name: shard_name(self.cluster, group),
            group,
            epoch: view.as_ref().map_or(0, |view| view.number.0),
            slots,
            // Where the primary takes no clients, this node takes them to it.
            primary: primary.and_then(|primary| place(primary).or_else(|| place(self.me))),
            replicas: members.filter(|node| Some(*node) != primary).filter_map(place).collect(),
            learners: learners.filter_map(place).collect(),
        };
        let named = shard.primary.as_ref().map(|place| place.node);
        shard.replicas.retain(|replica| Some(replica.node) != named);
        shard
    }

    /// Who holds a database. `is_cluster`: for clients of Redis Cluster.
    pub(crate) fn topology(&self, database: &str, is_cluster: bool) -> Topology {
        let groups = groups_of(self.table, database);
        let shards = groups
            .iter()
            .enumerate()
            .map(|(number, group)| self.shard(*group, slots_of(number, groups.len()), database, is_cluster));
        let shards: Vec<Shard> = shards.collect();
        let holders: BTreeSet<NodeId> =
            shards.iter().flat_map(Shard::places).map(|(place, _)| place.node).collect();
        let others = self.table.nodes().keys().filter(|node| !holders.contains(node));
        let others = others.filter_map(|node| self.place(*node, database, is_cluster)).collect();
        Topology { me: self.me, shards, others }
    }
}

/// What a node is in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Primary,
    Replica,
    Learner,
}

impl Shard {
    /// All nodes of the shard, the primary first.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&Place, Part)> {
        let primary = self.primary.iter().map(|place| (place, Part::Primary));
        let replicas = self.replicas.iter().map(|place| (place, Part::Replica));
        let learners = self.learners.iter().map(|place| (place, Part::Learner));
        primary.chain(replicas).chain(learners)
    }
}

impl Topology {
    /// The shard of a slot.
    pub(crate) fn shard_of(&self, slot: u16) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.slots.contains(&slot))
    }

    /// What this node is in the shards: the part in the first one where it has one.
    pub(crate) fn own_part(&self) -> Option<(&Shard, Part)> {
        self.shards.iter().find_map(|shard| {
            let (_, part) = shard.places().find(|(place, _)| place.node == self.me)?;
            Some((shard, part))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use onecopy_core::{BootNumber, Incarnation, Member, Rules};
    use onecopy_views::{Addresses, Command, Database, Endpoint, MAIN, Registration};

    use super::*;

    fn member(node: u32) -> Member {
        Member { node: NodeId(node), incarnation: Incarnation(u128::from(node)) }
    }

    /// Nodes 1 to 4. The first three hold `main`, and node 1 is its primary; node 4 takes no clients.
    pub(crate) fn table() -> Table {
        let mut table = Table::default();
        let mut execute = |command: Command| table.apply(&command, Rules::default()).expect("it fits");
        for node in 1..=4 {
            let redis = if node == 4 { String::new() } else { format!("10.0.0.{node}:6379") };
            let mut addresses = Addresses::new(redis, String::new(), format!("10.0.0.{node}:7379"));
            if node < 4 {
                addresses.endpoints.push(Endpoint {
                    database: "main".to_owned(),
                    is_cluster: true,
                    address: format!("10.0.0.{node}:6380"),
                });
                addresses.sentinel = format!("10.0.0.{node}:26379");
            }
            execute(Command::RegisterNode {
                node: NodeId(node),
                registration: Registration {
                    incarnation: member(node).incarnation,
                    boot: BootNumber(1),
                    holds_data: true,
                    zone: String::new(),
                    pid: 0,
                    run: 0,
                    addresses,
                },
            });
        }
        let members = vec![member(1), member(2), member(3)];
        let (primary, boot) = (NodeId(1), BootNumber(1));
        execute(Command::CreateGroup { group: MAIN, copies: 3, members, primary, boot });
        table
    }

    /// What node 2 says when it knows this table, and reaches all but node `lost`.
    pub(crate) fn topology(table: &Table, is_cluster: bool, lost: u32) -> Topology {
        let is_reached = move |node: NodeId| node.0 != lost;
        let known =
            Known { table, cluster: "test", me: NodeId(2), heard: &|_| None, is_reached: &is_reached };
        known.topology("main", is_cluster)
    }

    #[test]
    fn slots_are_shared_out_without_a_gap() {
        assert_eq!(slots_of(0, 1), 0..=16_383);
        for shards in [1, 2, 3, 7, 1_000, SLOTS] {
            let mut next = 0_u32;
            for shard in 0..shards {
                let slots = slots_of(shard, shards);
                assert_eq!(u32::from(*slots.start()), next);
                assert!(!slots.is_empty());
                next = u32::from(*slots.end()) + 1;
            }
            assert_eq!(next as usize, SLOTS);
        }
    }

    #[test]
    fn a_topology_follows_the_table() {
        let mut table = table();
        let before = topology(&table, true, 0);
        let [shard] = &before.shards[..] else { panic!("one shard") };
        let nodes = |places: &[Place]| places.iter().map(|place| place.node.0).collect::<Vec<_>>();
        assert_eq!(shard.primary.as_ref().map(|place| (place.node.0, place.port)), Some((1, 6380)));
        assert_eq!((nodes(&shard.replicas), nodes(&before.others)), (vec![2, 3], vec![]));
        assert_eq!(before.own_part().map(|(_, part)| part), Some(Part::Replica));
        assert_eq!(before.shard_of(16_383), Some(shard));
        let promote = Command::PromoteMember {
            group: MAIN,
            expected: onecopy_core::ViewNumber(1),
            primary: NodeId(2),
            boot: BootNumber(1),
            dropped: vec![NodeId(1)],
            reason: onecopy_views::Reason::Silent,
        };
        table.apply(&promote, Rules::default()).expect("it fits");
        let after = topology(&table, true, 1);
        let [shard] = &after.shards[..] else { panic!("one shard") };
        assert_eq!(shard.primary.as_ref().map(|place| place.node.0), Some(2));
        assert_eq!((nodes(&shard.replicas), nodes(&after.others)), (vec![3], vec![1]));
        assert!(!after.others[0].is_reached && shard.epoch == 2);
        assert_eq!(shard.name, before.shards[0].name, "the name of a shard stays");
    }

    #[test]
    fn a_copy_of_an_optimistic_database_names_itself() {
        let mut table = table();
        let group = MAIN.next();
        let database: Database = "carts:16".parse().expect("a database");
        let create = Command::CreateDatabase {
            group,
            database: Database { kind: Kind::Optimistic, ..database },
            copies: 3,
            members: vec![member(1), member(2), member(3)],
            primary: NodeId(1),
            boot: BootNumber(1),
        };
        table.apply(&create, Rules::default()).expect("it fits");
        let primary = |me: u32| {
            let me = NodeId(me);
            let known = Known { table: &table, cluster: "test", me, heard: &|_| None, is_reached: &|_| true };
            known.primary(group, &known.view(group).expect("a view"))
        };
        assert_eq!([primary(1), primary(2), primary(4)], [NodeId(1), NodeId(2), NodeId(1)]);
    }

    #[test]
    fn who_takes_no_clients_is_stood_in_for() {
        let mut table = table();
        let handover = Command::PromoteMember {
            group: MAIN,
            expected: onecopy_core::ViewNumber(1),
            primary: NodeId(3),
            boot: BootNumber(1),
            dropped: vec![NodeId(1)],
            reason: onecopy_views::Reason::Silent,
        };
        table.apply(&handover, Rules::default()).expect("it fits");
        // Node 3 takes no clients of other databases.
        let known =
            Known { table: &table, cluster: "test", me: NodeId(2), heard: &|_| None, is_reached: &|_| true };
        assert_eq!(known.place(NodeId(3), "carts", false), None);
        assert_eq!(known.place(NodeId(4), "main", false), None);
        assert_eq!(known.topology("nothing", true).shards, []);
    }
}
