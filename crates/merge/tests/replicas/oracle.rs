//! What replicas should show, worked out from the commands alone: which were executed where, after which
//! others. Slow, and with nothing in common with what it checks but clocks and stamps.

use std::collections::{BTreeMap, BTreeSet};

use onecopy_merge::{Clock, Dot, Replica, ReplicaId, Stamp};

use crate::support::ask;

/// What a command does, in terms of things that come and go.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Something is put under a name: a text, a member, a score, or an element.
    Put { name: String, text: String },
    /// A number is added.
    Count { name: String, by: i64 },
    /// A number is added to the score that shows.
    Raise { name: String, by: i64 },
    /// Everything under a name goes, as far as it was seen.
    Clear { name: String },
    /// Everything of the key goes.
    ClearKey,
}

/// A deed, and when it was done.
#[derive(Clone, Debug)]
struct Event {
    dot: Dot,
    context: Clock,
    stamp: Stamp,
    deed: Deed,
}

impl Event {
    /// For people.
    fn line(&self) -> String {
        let context: Vec<String> =
            self.context.iter().map(|(id, counter)| Dot::new(id, counter).to_string()).collect();
        format!("{} after {} at {:?}: {:?}", self.dot, context.join(" "), self.stamp, self.deed)
    }
}

/// Everything that was done.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    events: BTreeMap<String, Vec<Event>>,
    contexts: BTreeMap<Dot, Clock>,
    /// Of replicas that are over, what they did in all.
    last: BTreeMap<ReplicaId, u64>,
    /// Which element of a list was seen before which other.
    orders: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Oracle {
    /// A command has done something.
    pub fn record(&mut self, key: &str, dot: Dot, context: &Clock, stamp: Stamp, deeds: Vec<Deed>) {
        let again = self.contexts.insert(dot, context.clone()).is_some_and(|before| before != *context);
        assert!(!again, "O5: {dot} was given twice");
        let last = self.last.entry(dot.replica).or_default();
        *last = dot.counter.max(*last);
        let events = deeds.into_iter().map(|deed| Event { dot, context: context.clone(), stamp, deed });
        self.events.entry(key.into()).or_default().extend(events);
    }

    /// A replica is over, and its updates beyond this one are lost.
    pub fn end(&mut self, replica: ReplicaId, counter: u64) {
        let last = self.last.entry(replica).or_default();
        *last = counter.min(*last);
    }

    /// How many updates a replica has made.
    fn made_by(&self, replica: ReplicaId) -> u64 {
        self.last.get(&replica).copied().unwrap_or(0)
    }

    fn has_seen(&self, clock: &Clock, dot: Dot) -> bool {
        if clock.is_folded(dot.replica) {
            dot.counter <= self.made_by(dot.replica)
        } else {
            clock.contains(dot)
        }
    }

    /// The events of a key that were seen, and that no seen removal had seen.
    fn alive(&self, key: &str, clock: &Clock) -> Vec<&Event> {
        let all = self.events.get(key).map(Vec::as_slice).unwrap_or_default();
        let seen: Vec<(usize, &Event)> =
            all.iter().enumerate().filter(|(_, event)| self.has_seen(clock, event.dot)).collect();
        let named = |deed: &Deed| match deed {
            Deed::Put { name, .. } | Deed::Count { name, .. } | Deed::Raise { name, .. } => {
                Some(name.clone())
            }
            Deed::Clear { .. } | Deed::ClearKey => None,
        };
        let removes = |(at, removal): &(usize, &Event), (put_at, put): &(usize, &Event)| {
            let had_seen = self.has_seen(&removal.context, put.dot) || put.dot == removal.dot && put_at < at;
            had_seen
                && match &removal.deed {
                    Deed::Clear { name } => Some(name) == named(&put.deed).as_ref(),
                    Deed::ClearKey => true,
                    _ => false,
                }
        };
        let puts = seen.iter().filter(|(_, event)| named(&event.deed).is_some());
        puts.filter(|put| !seen.iter().any(|removal| removes(removal, put)))
            .map(|(_, event)| *event)
            .collect()
    }

    /// What shows under each name: the latest text, and what was counted.
    fn shown(&self, key: &str, clock: &Clock) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, (Option<&Event>, i64)> = BTreeMap::new();
        for event in self.alive(key, clock) {
            match &event.deed {
                Deed::Put { name, .. } => {
                    let (latest, _) = shown.entry(name.clone()).or_default();
                    if latest.is_none_or(|latest| (latest.stamp, latest.dot) < (event.stamp, event.dot)) {
                        *latest = Some(event);
                    }
                }
                Deed::Count { name, by } => shown.entry(name.clone()).or_default().1 += by,
                _ => {}
            }
        }
        let text = |latest: Option<&Event>| match latest.map(|event| &event.deed) {
            Some(Deed::Put { text, .. }) => text.clone(),
            _ => "0".into(),
        };
        let total = |(latest, counted): (Option<&Event>, i64)| match text(latest).parse::<i64>() {
            Ok(number) if counted != 0 || latest.is_none() => (number + counted).to_string(),
            _ => text(latest),
        };
        let mut texts: BTreeMap<String, String> =
            shown.iter().map(|(name, what)| (name.clone(), total(*what))).collect();
        for (name, (latest, _)) in shown {
            if let Some(latest) = latest.filter(|_| key.starts_with('z')) {
                let score = self.score(key, clock, &name, latest);
                texts.insert(name, score.to_string());
            }
        }
        texts
    }

    /// The score that was given, and all that was added to it by those who saw it show.
    fn score(&self, key: &str, clock: &Clock, member: &str, base: &Event) -> i64 {
        let Deed::Put { text, .. } = &base.deed else { return 0 };
        let raises = self.events[key].iter().filter(|event| self.has_seen(clock, event.dot));
        let raised = raises.filter_map(|event| match &event.deed {
            Deed::Raise { name, by } if name == member && self.base(key, event) == Some(base.dot) => {
                Some(*by)
            }
            _ => None,
        });
        text.parse::<i64>().unwrap_or(0) + raised.sum::<i64>()
    }

    /// Which score an increment was added to: the one that showed where it was made.
    fn base(&self, key: &str, raise: &Event) -> Option<Dot> {
        let Deed::Raise { name, .. } = &raise.deed else { return None };
        let puts = self.alive(key, &raise.context).into_iter();
        let puts = puts.filter(|event| matches!(&event.deed, Deed::Put { name: other, .. } if other == name));
        puts.max_by_key(|event| (event.stamp, event.dot)).map(|event| event.dot)
    }

    /// Whether a member shows where a command is about to be executed.
    pub fn shows(&self, key: &str, clock: &Clock, name: &str) -> bool {
        self.shown(key, clock).contains_key(name)
    }

    /// Panics if a replica shows something else than it should.
    pub fn check(&mut self, replica: &Replica) {
        let clock = replica.clock();
        for (dot, context) in &self.contexts {
            let shows_all = !self.has_seen(clock, *dot)
                || context.iter().all(|(replica, counter)| {
                    self.has_seen(clock, Dot::new(replica, counter.min(self.made_by(replica))))
                });
            assert!(shows_all, "O4: {} shows {dot} without what it had seen", replica.id());
        }
        for key in self.events.keys().cloned().collect::<Vec<_>>() {
            let shown = self.shown(&key, clock);
            let pairs = |separator: &str| {
                shown
                    .iter()
                    .map(|(name, text)| format!("{name}{separator}{text}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let names = shown.keys().cloned().collect::<Vec<_>>().join(" ");
            let (question, expected) = match &key[..1] {
                "n" => (format!("GET {key}"), shown.get("").cloned().unwrap_or("nil".into())),
                "h" => (format!("HGETALL {key}"), pairs(" ")),
                "s" => (format!("SMEMBERS {key}"), names),
                "z" => {
                    let mut scores: Vec<(i64, &String)> =
                        shown.iter().map(|(name, text)| (text.parse().unwrap_or(0), name)).collect();
                    scores.sort();
                    let pairs: Vec<_> =
                        scores.into_iter().map(|(score, name)| format!("{name} {score}")).collect();
                    (format!("ZRANGE {key} 0 -1 WITHSCORES"), pairs.join(" "))
                }
                "l" => {
                    self.check_list(&key, replica, &shown);
                    continue;
                }
                _ => continue,
            };
            let answer = ask(replica, &question);
            if answer != expected {
                let events: Vec<String> = self.events[&key].iter().map(Event::line).collect();
                println!("what was done to {key}:\n{}", events.join("\n"));
            }
            assert_eq!(answer, expected, "O2, O3, O6: {question} at {} ({clock:?})", replica.id());
        }
    }

    /// The elements of a list, each a text of its own, in an order that all agree on.
    fn check_list(&mut self, key: &str, replica: &Replica, shown: &BTreeMap<String, String>) {
        let answer = ask(replica, &format!("LRANGE {key} 0 -1"));
        let elements: Vec<&str> = answer.split_whitespace().collect();
        let expected: BTreeSet<&str> = shown.keys().map(String::as_str).collect();
        assert_eq!(
            elements.iter().copied().collect::<BTreeSet<_>>(),
            expected,
            "O2, O3, O6: {key} at {}",
            replica.id()
        );
        assert_eq!(elements.len(), expected.len(), "an element shows once");
        let orders = self.orders.entry(key.into()).or_default();
        for (at, first) in elements.iter().enumerate() {
            for second in &elements[at + 1..] {
                let reversed = orders.contains(&(second.to_string(), first.to_string()));
                assert!(!reversed, "O1: {first} and {second} of {key} change places at {}", replica.id());
                orders.insert((first.to_string(), second.to_string()));
            }
        }
    }
}
