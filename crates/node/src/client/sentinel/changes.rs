//! What has happened to masters, from how they were before and how they are now.

use std::collections::BTreeMap;

use super::{Event, Master};
use crate::topology::Place;

/// What is remembered of a master: who it is, and who its replicas are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    master: Instance,
    /// By where they are.
    replicas: BTreeMap<(String, u16), Instance>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Instance {
    host: String,
    port: u16,
    is_down: bool,
}

impl Instance {
    fn of(place: &Place) -> Self {
        Self { host: place.host.clone(), port: place.port, is_down: !place.is_reached }
    }

    fn at(&self) -> (String, u16) {
        (self.host.clone(), self.port)
    }
}

impl Seen {
    /// A master as it is now.
    pub(super) fn of(master: &Master) -> Option<Self> {
        let replicas = master.shard.replicas.iter().map(Instance::of);
        Some(Self {
            master: Instance::of(master.shard.primary.as_ref()?),
            replicas: replicas.map(|replica| (replica.at(), replica)).collect(),
        })
    }
}

/// Everything that has happened to the masters, in the order in which Sentinel would say it. `is_reached`:
/// whether there is a connection to whoever takes clients there.
pub(super) fn changes(
    before: &BTreeMap<String, Seen>,
    now: &BTreeMap<String, Seen>,
    quorum: (usize, usize),
    is_reached: impl Fn(&str, u16) -> bool,
) -> Vec<Event> {
    let mut events = Vec::new();
    for (name, now) in now {
        match before.get(name) {
            Some(before) => {
                Changes { name, before, now, quorum, events: &mut events }.tell(&is_reached);
            }
            None => {
                let Instance { host, port, .. } = &now.master;
                let payload = format!("master {name} {host} {port} quorum {}", quorum.1);
                events.push(Event { channel: "+monitor", payload });
            }
        }
    }
    for (name, before) in before.iter().filter(|(name, _)| !now.contains_key(*name)) {
        let Instance { host, port, .. } = &before.master;
        events.push(Event { channel: "-monitor", payload: format!("master {name} {host} {port}") });
    }
    events
}

struct Changes<'a> {
    name: &'a str,
    before: &'a Seen,
    now: &'a Seen,
    /// How many view nodes are reached, and how many are needed.
    quorum: (usize, usize),
    events: &'a mut Vec<Event>,
}

impl Changes<'_> {
    fn tell(&mut self, is_reached: &impl Fn(&str, u16) -> bool) {
        let (before, now) = (self.before, self.now);
        if before.master.at() == now.master.at() {
            match (before.master.is_down, now.master.is_down) {
                (false, true) => self.master_is_down(&before.master),
                (true, false) => {
                    self.of_master("-sdown", &now.master);
                    self.of_master("-odown", &now.master);
                }
                _ => {}
            }
        } else {
            let (old, new) = (&before.master, &now.master);
            let still_there = now.replicas.contains_key(&old.at());
            if !old.is_down && !still_there && !is_reached(&old.host, old.port) {
                self.master_is_down(old);
            }
            self.of_master("+try-failover", old);
            self.of_master("+failover-end", old);
            let payload = format!("{} {} {} {} {}", self.name, old.host, old.port, new.host, new.port);
            self.events.push(Event { channel: "+switch-master", payload });
        }
        let changed = before.master.at() != now.master.at();
        for (at, replica) in &now.replicas {
            match before.replicas.get(at) {
                // After a failover, Sentinel begins anew with those of the new master.
                _ if changed => self.of_replica("+slave", replica),
                None => self.of_replica("+slave", replica),
                Some(before) if before.is_down && !replica.is_down => self.of_replica("-sdown", replica),
                Some(before) if !before.is_down && replica.is_down => self.of_replica("+sdown", replica),
                Some(_) => {}
            }
        }
        for (at, replica) in &before.replicas {
            let is_gone = !now.replicas.contains_key(at) && *at != now.master.at();
            if is_gone && !replica.is_down && !is_reached(&replica.host, replica.port) {
                self.of_replica("+sdown", replica);
            }
        }
    }

    fn master_is_down(&mut self, master: &Instance) {
        self.of_master("+sdown", master);
        let Instance { host, port, .. } = master;
        let payload =
            format!("master {} {host} {port} #quorum {}/{}", self.name, self.quorum.0, self.quorum.1);
        self.events.push(Event { channel: "+odown", payload });
    }

    fn of_master(&mut self, channel: &'static str, master: &Instance) {
        let payload = format!("master {} {} {}", self.name, master.host, master.port);
        self.events.push(Event { channel, payload });
    }

    fn of_replica(&mut self, channel: &'static str, replica: &Instance) {
        let (Instance { host, port, .. }, master) = (replica, &self.now.master);
        let payload =
            format!("slave {host}:{port} {host} {port} @ {} {} {}", self.name, master.host, master.port);
        self.events.push(Event { channel, payload });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(master: (u16, bool), replicas: &[(u16, bool)]) -> BTreeMap<String, Seen> {
        let instance = |(port, is_down): (u16, bool)| Instance { host: "h".to_owned(), port, is_down };
        let replicas = replicas.iter().map(|replica| (("h".to_owned(), replica.0), instance(*replica)));
        [("main".to_owned(), Seen { master: instance(master), replicas: replicas.collect() })].into()
    }

    /// What happens from one to the other, where these are out of reach.
    fn told(before: &BTreeMap<String, Seen>, now: &BTreeMap<String, Seen>, lost: &[u16]) -> Vec<String> {
        let events = changes(before, now, (2, 2), |_, port| !lost.contains(&port));
        events.into_iter().map(|event| format!("{} {}", event.channel, event.payload)).collect()
    }

    #[test]
    fn a_failover_is_told_as_sentinel_tells_it() {
        let before = seen((1, false), &[(2, false), (3, false)]);
        let lost = seen((1, true), &[(2, false), (3, false)]);
        let after = seen((2, false), &[(3, false)]);
        let down = ["+sdown master main h 1", "+odown master main h 1 #quorum 2/2"];
        let switch = [
            "+try-failover master main h 1",
            "+failover-end master main h 1",
            "+switch-master main h 1 h 2",
            "+slave slave h:3 h 3 @ main h 2",
        ];
        assert_eq!(told(&before, &lost, &[1]), down);
        assert_eq!(told(&lost, &after, &[1]), switch);
        // Where the view comes first.
        assert_eq!(told(&before, &after, &[1]), [&down[..], &switch[..]].concat());
        // It comes back as a replica.
        let back = seen((2, false), &[(3, false), (1, false)]);
        assert_eq!(told(&after, &back, &[]), ["+slave slave h:1 h 1 @ main h 2"]);
    }

    #[test]
    fn a_handover_has_nobody_down() {
        let (before, after) = (seen((1, false), &[(2, false)]), seen((2, false), &[(1, false)]));
        let told = told(&before, &after, &[]);
        assert!(told.iter().all(|event| !event.contains("down")), "{told:?}");
        assert!(told.contains(&"+switch-master main h 1 h 2".to_owned()), "{told:?}");
    }

    #[test]
    fn replicas_come_and_go() {
        let both = seen((1, false), &[(2, false)]);
        let (lost, alone) = (seen((1, false), &[(2, true)]), seen((1, false), &[]));
        assert_eq!(told(&both, &lost, &[2]), ["+sdown slave h:2 h 2 @ main h 1"]);
        assert_eq!(told(&lost, &both, &[]), ["-sdown slave h:2 h 2 @ main h 1"]);
        assert_eq!(told(&both, &alone, &[2]), ["+sdown slave h:2 h 2 @ main h 1"]);
        assert_eq!(told(&lost, &alone, &[2]), [""; 0], "that was said before");
        assert_eq!(told(&both, &alone, &[]), [""; 0], "it was taken away, and is well");
        assert_eq!(told(&both, &both, &[]), [""; 0]);
    }

    #[test]
    fn masters_come_and_go_with_their_databases() {
        let main = seen((1, false), &[]);
        assert_eq!(told(&BTreeMap::new(), &main, &[]), ["+monitor master main h 1 quorum 2"]);
        assert_eq!(told(&main, &BTreeMap::new(), &[]), ["-monitor master main h 1"]);
    }
}
