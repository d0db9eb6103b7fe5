//! Keys that go between groups: each is in one of them, whatever is lost, late or said twice on the way.
//!
//! A history is made of dice: clients push to lists where these are, movers take them elsewhere and die in
//! the middle, what they have asked for is executed later, groups begin again from their images. At the end
//! somebody ends what is under way.

use std::collections::BTreeMap;

use onecopy_core::{ApplyContext, GroupId, Index, QueryContext, Rules, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_keyspace::moves::{Ask, Ended, Heard, Mover};
use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder, split_response};
use onecopy_resp::Version;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const GROUPS: u32 = 3;
const KEYS: [&str; 4] = ["a", "b", "c", "d"];
/// So long may a move be under way before somebody goes on with it, in milliseconds.
const AGE_MS: u64 = 50;

struct World {
    rules: Rules,
    dice: ChaCha8Rng,
    groups: Vec<Keyspace>,
    index: u64,
    clock: u64,
    movers: Vec<Mover>,
    /// What somebody has asked for who does not wait for it any more.
    late: Vec<Ask>,
    /// What was pushed to each key, in order.
    pushed: BTreeMap<&'static str, Vec<u64>>,
    /// Which key moved how often, as its mover was told.
    moved: u64,
}

impl World {
    fn new(seed: u64, rules: Rules) -> Self {
        let groups = (0..GROUPS).map(|number| Keyspace::new([number.into(), 7]).under(rules)).collect();
        let dice = ChaCha8Rng::seed_from_u64(seed);
        let (movers, late, pushed) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut world = Self { rules, dice, groups, index: 0, clock: 1_000, movers, late, pushed, moved: 0 };
        for (number, key) in (0..).zip(KEYS) {
            world.execute(number % GROUPS, true, &["RPUSH", key, "0"]);
            world.pushed.insert(key, vec![0]);
        }
        world
    }

    fn below(&mut self, bound: usize) -> usize {
        self.dice.next_u32() as usize % bound
    }

    fn execute(&mut self, group: u32, writes: bool, words: &[&str]) -> Vec<u8> {
        let args = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self.carry_out(&Ask { group: GroupId(group), db: 0, writes, args })
    }

    fn carry_out(&mut self, ask: &Ask) -> Vec<u8> {
        let mut segment = SegmentBuilder::new(ask.db, Version::Two);
        segment.push(ask.args.iter().map(Vec::as_slice));
        let (mut body, mut response) = (BodyBuilder::new(), Vec::new());
        body.push(&segment.finish());
        let body = body.finish();
        let keyspace = &mut self.groups[ask.group.0 as usize];
        if ask.writes {
            self.index += 1;
            let context = ApplyContext::new(Index(self.index), Timestamp(self.clock), self.index);
            keyspace.advance(&context);
            keyspace.apply(&context, &body, &mut response);
        } else {
            keyspace.query(&QueryContext::at(Timestamp(self.clock)), &body, &mut response);
        }
        let mut replies = split_response(&response.into());
        replies.next().expect("one").expect("it is right").expect("it was executed").to_vec()
    }

    /// One mover asks what it wants to ask, and hears of it, or not.
    fn drive(&mut self, at: usize) {
        let ask = self.movers[at].ask();
        let heard = match self.below(8) {
            0 => {
                self.late.push(ask);
                None
            }
            1 => {
                self.carry_out(&ask);
                None
            }
            _ => Some(self.carry_out(&ask)),
        };
        let heard = heard.as_deref().map_or(Heard::Unknown, Heard::Reply);
        if let Some(ended) = self.movers[at].hear(heard) {
            self.moved += u64::from(ended == Ended::Moved(true));
            self.movers.swap_remove(at);
        }
    }

    fn step(&mut self) {
        let (group, key) = (self.below(GROUPS as usize) as u32, KEYS[self.below(KEYS.len())]);
        match self.below(12) {
            0..3 => {
                let value = self.index + 1;
                let reply = self.execute(group, true, &["RPUSHX", key, &value.to_string()]);
                if reply.starts_with(b":") && reply != b":0\r\n" {
                    self.pushed.get_mut(key).expect("it is known").push(value);
                }
            }
            3 if self.movers.len() < 4 => {
                let to = (group + 1 + self.below(GROUPS as usize - 1) as u32) % GROUPS;
                self.movers.push(Mover::begin(GroupId(group), (0, key.as_bytes()), (GroupId(to), 0)));
            }
            4 if self.movers.len() < 4 => self.resume(group),
            5 if !self.late.is_empty() => {
                let at = self.below(self.late.len());
                let ask = self.late.swap_remove(at);
                self.carry_out(&ask);
            }
            6 => self.begin_again(group),
            7 => self.clock += self.below(40) as u64,
            _ if !self.movers.is_empty() => {
                let at = self.below(self.movers.len());
                self.drive(at);
            }
            _ => {}
        }
    }

    /// Somebody goes on with what has been under way at a group for long.
    fn resume(&mut self, group: u32) {
        let look = Mover::look(GroupId(group), AGE_MS);
        let found = Mover::found(&self.carry_out(&look));
        self.movers.extend(found.into_iter().map(|number| Mover::resume(GroupId(group), number)));
    }

    /// A copy is made of the image of another.
    fn begin_again(&mut self, group: u32) {
        let keyspace = &mut self.groups[group as usize];
        keyspace.snapshot_begin();
        let mut image = Vec::new();
        while keyspace.snapshot_read(1 << 16, &mut image) {}
        let mut copy = Keyspace::new([9, 9]).under(self.rules);
        copy.restore(&image).expect("it is an image");
        copy.restore_finish().expect("it is whole");
        assert_eq!((copy.digest(), copy.memory()), (keyspace.digest(), keyspace.memory()));
        self.groups[group as usize] = copy;
    }

    /// In how many groups a key can be read.
    fn places(&mut self, key: &str) -> usize {
        let mut is_there = |group| self.execute(group, false, &["EXISTS", key]) == b":1\r\n";
        (0..GROUPS).filter(|group| is_there(*group)).count()
    }

    fn check(&mut self) -> Result<(), String> {
        for key in KEYS {
            let places = self.places(key);
            if places > 1 {
                return Err(format!("{key} is in {places} groups"));
            }
        }
        Ok(())
    }

    /// Everything that was asked for is executed, and everything that is under way is ended.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..1_000 {
            self.clock += AGE_MS;
            for ask in std::mem::take(&mut self.late) {
                self.carry_out(&ask);
            }
            while !self.movers.is_empty() {
                self.drive(0);
            }
            self.check()?;
            (0..GROUPS).for_each(|group| self.resume(group));
            let is_over = self.groups.iter().all(|keyspace| keyspace.departures() == 0);
            if is_over && self.movers.is_empty() && self.late.is_empty() {
                return Ok(());
            }
        }
        Err("something is under way for ever".to_owned())
    }

    fn compare(&mut self) -> Result<(), String> {
        for key in KEYS {
            if self.places(key) != 1 {
                return Err(format!("{key} is in {} groups at the end", self.places(key)));
            }
            let pushed = self.pushed[key].clone();
            let expected = pushed.iter().map(|value| format!("${}\r\n{value}\r\n", value.to_string().len()));
            let expected = format!("*{}\r\n{}", pushed.len(), expected.collect::<String>());
            let shown = (0..GROUPS).map(|group| self.execute(group, false, &["LRANGE", key, "0", "-1"]));
            let shown: Vec<Vec<u8>> = shown.filter(|reply| reply != b"*0\r\n").collect();
            if shown != [expected.as_bytes()] {
                return Err(format!("{key} should be {expected}, and is {shown:?}"));
            }
        }
        Ok(())
    }
}

/// One history; how many keys were moved, or what is wrong.
fn history(seed: u64, rules: Rules) -> Result<u64, String> {
    let mut world = World::new(seed, rules);
    for _ in 0..400 {
        world.step();
        world.check()?;
    }
    world.settle()?;
    world.compare()?;
    Ok(world.moved)
}

#[test]
fn every_key_is_in_one_group_and_nothing_of_it_is_lost() {
    let mut moved = 0;
    for seed in 0..500 {
        moved += history(seed, Rules::default()).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
    assert!(moved > 1_000, "{moved} moves were told");
}

#[cfg(feature = "sabotage")]
#[test]
fn a_target_that_forgets_what_it_took_is_found_out() {
    use onecopy_core::Rule;
    let found = (0..500).find_map(|seed| history(seed, Rules::without(Rule::MovedOnce)).err());
    assert!(found.is_some(), "nobody noticed");
}

#[test]
fn what_is_in_the_way_is_told_and_the_key_stays() {
    let mut world = World::new(1, Rules::default());
    world.execute(1, true, &["SET", "a", "taken"]);
    world.execute(0, true, &["XADD", "stream", "1-1", "f", "v"]);
    world.execute(0, true, &["SET", "ends", "soon", "PX", "10000"]);
    let end = |world: &mut World, key: &str| {
        let mut mover = Mover::begin(GroupId(0), (0, key.as_bytes()), (GroupId(1), 3));
        let mut to_other = Mover::begin(GroupId(0), (0, key.as_bytes()), (GroupId(1), 0));
        let mover = if key == "a" { &mut to_other } else { &mut mover };
        loop {
            let reply = world.carry_out(&mover.ask());
            if let Some(ended) = mover.hear(Heard::Reply(&reply)) {
                break ended;
            }
        }
    };
    assert_eq!(end(&mut world, "a"), Ended::Moved(false));
    assert_eq!(world.execute(0, false, &["LLEN", "a"]), b":1\r\n");
    assert_eq!(end(&mut world, "nothing"), Ended::Moved(false));
    assert_eq!(end(&mut world, "stream"), Ended::Moved(true));
    assert_eq!(end(&mut world, "ends"), Ended::Moved(true));
    assert_eq!(world.execute(0, false, &["EXISTS", "stream", "ends"]), b":0\r\n");
    let pttl =
        Ask { group: GroupId(1), db: 3, writes: false, args: vec![b"PTTL".to_vec(), b"ends".to_vec()] };
    assert_eq!(world.carry_out(&pttl), b":10000\r\n");
}

#[test]
fn a_key_on_its_way_is_left_alone() {
    let mut world = World::new(1, Rules::default());
    let mut mover = Mover::begin(GroupId(0), (0, b"a"), (GroupId(1), 0));
    let reply = world.carry_out(&mover.ask());
    assert_eq!(mover.hear(Heard::Reply(&reply)), None);
    for line in ["LPUSH a 1", "DEL a", "SWAPDB 0 1", "EVAL return 1 a", "ONCE token DEL a"] {
        let reply = world.execute(0, true, &line.split(' ').collect::<Vec<_>>());
        assert!(reply.starts_with(b"-TRYAGAIN"), "{line}: {}", String::from_utf8_lossy(&reply));
    }
    let script = "return redis.call('LPUSH', 'a', 1)";
    let reply = String::from_utf8(world.execute(0, true, &["EVAL", script, "0"])).expect("text");
    assert!(reply.starts_with("-TRYAGAIN"), "{reply}");
    assert!(world.execute(0, false, &["LLEN", "a"]).starts_with(b"-TRYAGAIN"));
    // It is one of the keys that there are, and whoever takes all of them away may have it.
    assert_eq!(world.execute(0, false, &["DBSIZE"]), b":2\r\n");
    world.execute(0, true, &["FLUSHDB"]);
    let ended = loop {
        let reply = world.carry_out(&mover.ask());
        if let Some(ended) = mover.hear(Heard::Reply(&reply)) {
            break ended;
        }
    };
    assert_eq!((ended, world.places("a")), (Ended::Moved(false), 0));
}
