//! Changes that are undone, at any point, leave a value as it was in everything that can be seen of it.

use onecopy_core::Budget;

use super::*;
use crate::value::stream::{Group, Id, Kept, Pending, Trim};
use crate::value::{Hash, List, Set, Stream, Zset};

const SEED: Seed = Seed([1, 2]);

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// A name, now and then a long one.
    fn name(&mut self, names: usize) -> Vec<u8> {
        let number = self.below(names);
        let length = if number.is_multiple_of(61) { 100 } else { 0 };
        format!("{number}{}", "x".repeat(length)).into_bytes()
    }
}

/// Everything that can be seen of a value, in order.
fn seen(value: &Value) -> Vec<Vec<u8>> {
    let content = value.content();
    let pair = |name: &[u8], other: &[u8]| [name, b" = ", other].concat();
    let mut all: Vec<Vec<u8>> = match content {
        Content::Text(text) => vec![text.to_vec()],
        Content::List(list) => list.iter().map(<[u8]>::to_vec).collect(),
        Content::Hash(hash) => hash.iter().map(|(field, value)| pair(field, value)).collect(),
        Content::Set(set) => set.iter().map(<[u8]>::to_vec).collect(),
        Content::Zset(zset) => {
            let scored = |(member, score): (&[u8], f64)| pair(member, score.to_string().as_bytes());
            zset.iter().chain(zset.range(0..zset.len())).map(scored).collect()
        }
        Content::Stream(stream) => stream.items_from(0).map(|item| item.as_ref().to_vec()).collect(),
    };
    all.push(
        format!(
            "{} {} {}",
            content.len(),
            content.memory(),
            content.encoding(&onecopy_core::Encodings::default())
        )
        .into_bytes(),
    );
    // What is found by its name is there as well.
    match content {
        Content::Hash(hash) => assert!(hash.iter().all(|(field, value)| hash.get(field) == Some(value))),
        Content::Set(set) => assert!(set.iter().all(|member| set.contains(member))),
        Content::Zset(zset) => {
            assert!(zset.iter().all(|(member, score)| zset.score(member) == Some(score)));
            assert!((0..zset.len()).step_by(7).all(|rank| {
                zset.ranked(rank).is_some_and(|(member, _)| zset.rank(member) == Some(rank))
            }));
        }
        _ => {}
    }
    all
}

/// Lets `change` change a value again and again, undoes that, and compares; some of the changes stay each
/// time. `sizes` are about how many elements it has.
fn compare<T: Typed>(sizes: &[usize], mut change: impl FnMut(&mut Edit<'_, T>, &mut Numbers, usize)) {
    for seed in 0..3u64 {
        let mut numbers = Numbers(seed * 77 + 5);
        let mut value = T::empty().into_value();
        for round in 0..200 {
            let size = sizes[round % sizes.len()];
            let before = seen(&value);
            let steps = if round % 9 == 0 { size * 2 } else { 1 + numbers.below(40) };
            let mut noted = Undo::of(value.content());
            let mut apply = |value: &mut Value, mut noted: Option<&mut Undo>, mut numbers: Numbers| {
                for _ in 0..steps {
                    let undo = noted.as_deref_mut().and_then(T::undo_of);
                    let value = T::of_mut(value).expect("it is of this type");
                    change(&mut Edit::new(value, undo), &mut numbers, size);
                }
            };
            let again = numbers.0;
            apply(&mut value, Some(&mut noted), Numbers(again));
            let after = seen(&value);
            noted.undo(&mut value, SEED, &mut |_| {});
            assert!(seen(&value) == before, "round {round} of {seed}: {steps} changes");
            // Whoever comes to the same state by another way does the same from there.
            apply(&mut value, None, Numbers(again));
            assert!(seen(&value) == after, "round {round} of {seed}: {steps} changes, once more");
            numbers.below(2);
        }
    }
}

#[test]
fn lists() {
    compare::<List>(&[3, 60, 1500], |list, numbers, size| {
        let (element, grows) = (numbers.name(9), list.len() < size);
        let length = list.len();
        match numbers.below(if size > 1000 { 300 } else { 24 }) {
            0 => drop(
                list.trim(numbers.below(3).min(length)..length - numbers.below(2).min(length / 2), |_| {}),
            ),
            1 if length > 0 => {
                let start = numbers.below(length);
                drop(list.trim(start..start + numbers.below(length - start + 1), |_| {}));
            }
            2 | 3 => drop(list.set(numbers.below(length + 1) as i64, &element)),
            4 | 5 => drop(list.insert(&element, numbers.below(2) == 0, b"inserted", || {})),
            6 => drop(list.remove(&element, 1 + numbers.below(30), numbers.below(2) == 0, |_| {})),
            what if what % 4 == 0 => list.push_front(&element),
            what if what % 4 == 1 => drop(list.pop_back()),
            what if what % 4 == 2 && grows => list.push_back(&element),
            _ if grows => list.push_front(&element),
            _ => drop(list.pop_front()),
        }
    });
}

#[test]
fn hashes() {
    compare::<Hash>(&[20, 130, 1500], |hash, numbers, size| {
        let (field, value) = (numbers.name(size * 2), numbers.name(300));
        match numbers.below(if hash.len() < size { 3 } else { 5 }) {
            0 | 1 => drop(hash.insert(SEED, &field, &value)),
            2 => drop(hash.insert_new(SEED, &field, &value)),
            _ => drop(hash.remove(&field)),
        }
    });
}

#[test]
fn sets() {
    compare::<Set>(&[20, 130, 1500], |set, numbers, size| {
        let member = numbers.name(size * 2);
        match numbers.below(if set.len() < size { 5 } else { 9 }) {
            0..=3 => drop(set.insert(SEED, &member)),
            4 if set.len() > 0 => drop(set.remove_at(numbers.below(set.len()))),
            _ => drop(set.remove(&member)),
        }
    });
}

#[test]
fn sorted_sets() {
    compare::<Zset>(&[20, 130, 1500], |zset, numbers, size| {
        let (member, score) = (numbers.name(size * 2), numbers.below(50) as f64);
        match numbers.below(if zset.len() < size { 5 } else { 8 }) {
            0..=3 => drop(zset.insert(SEED, &member, score)),
            4 if numbers.below(30) == 0 => {
                let start = numbers.below(zset.len() + 1);
                let end = zset.len().min(start + numbers.below(40));
                zset.remove_range(start..end, || {});
            }
            _ => drop(zset.remove(&member)),
        }
    });
}

#[test]
fn streams() {
    compare::<Stream>(&[5, 400], |stream, numbers, size| {
        let last = stream.last();
        let known = |numbers: &mut Numbers| Id { ms: numbers.below(last.ms as usize + 2) as u64, seq: 0 };
        let (group, consumer) = ([b"g", b"h"][numbers.below(2)], [b"a", b"b", b"c"][numbers.below(3)]);
        let now = numbers.below(1000) as u64;
        match numbers.below(12) {
            0..=4 => {
                let id = Id { ms: last.ms + 1, seq: 0 };
                let names: [&[u8]; 2] = [b"field", b"other"];
                let value = numbers.name(200);
                stream.append(id, &[names[numbers.below(2)], &value], Budget::ENDLESS);
            }
            5 => {
                let id = known(numbers);
                stream.remove(id);
            }
            6 if numbers.below(if size > 100 { 30 } else { 3 }) == 0 => {
                let kept = match numbers.below(2) {
                    0 => Kept::Newest(numbers.below(size)),
                    _ => Kept::From(known(numbers)),
                };
                let trim = Trim { kept, by_chunks: numbers.below(2) == 0, limit: usize::MAX };
                stream.trim(&trim, Budget::ENDLESS);
            }
            7 if numbers.below(20) == 0 => {
                // Ids may come again once there are no entries.
                let everything = Trim { kept: Kept::Newest(0), by_chunks: false, limit: usize::MAX };
                stream.trim(&everything, Budget::ENDLESS);
                stream.set_progress(Id { ms: last.ms / 2, seq: 0 }, Some(numbers.below(9) as i64), None);
            }
            8 if numbers.below(8) == 0 => {
                if stream.group(group).is_some() {
                    stream.remove_group(group);
                } else {
                    stream.add_group(group, Group::new(known(numbers), None));
                }
            }
            _ => {
                let (id, progress) = (known(numbers), stream.progress());
                stream.change_group(group, |_, group| match numbers.below(9) {
                    0 => drop(group.add_consumer(consumer, now)),
                    1 => drop(group.remove_consumer(consumer, || {})),
                    2 => group.set_progress(id, Some(3)),
                    3 => drop(group.forget(id)),
                    4 => group.come_to(id, &progress),
                    _ => {
                        let place = group.hear_of(consumer, now);
                        group.serve(place, now + 1);
                        group.assign(Pending { id, consumer: place, delivered: now, deliveries: now % 5 });
                    }
                });
            }
        }
    });
}

#[test]
fn long_strings() {
    let mut numbers = Numbers(3);
    let mut value = Value::of_bytes(vec![b'x'; 5_000]);
    for _ in 0..100 {
        let before = seen(&value);
        let mut noted = Undo::of(value.content());
        for _ in 0..numbers.below(9) {
            let (Value::Raw(text), Undo::Text(noted)) = (&mut value, &mut noted) else { unreachable!() };
            let start = numbers.below(6_000);
            let range = start..start + numbers.below(500);
            noted.note(text, &range);
            text.resize(text.len().max(range.end), 0);
            let byte = numbers.below(256) as u8;
            text[range].fill(byte);
        }
        let after = value.clone();
        noted.undo(&mut value, SEED, &mut |_| {});
        assert!(seen(&value) == before);
        value = after;
    }
}

#[test]
fn pushes_and_pops_note_no_more_than_was_there() {
    let mut value = List::new().into_value();
    let list = List::of_mut(&mut value).expect("a list");
    (0..1000).for_each(|number: u32| list.push_back(&number.to_le_bytes()));
    let before = seen(&value);
    let mut noted = Undo::of(value.content());
    for number in 0..100_000u32 {
        let list = List::of_mut(&mut value).expect("a list");
        let mut edit = Edit::new(list, List::undo_of(&mut noted));
        let element = edit.pop_back().expect("an element");
        edit.push_front(&element);
        edit.push_front(&number.to_le_bytes());
        drop(edit.trim(0..1000, |_| {}));
    }
    assert!(noted.bytes() < 20_000, "{}", noted.bytes());
    noted.undo(&mut value, SEED, &mut |_| {});
    assert!(seen(&value) == before);
}
