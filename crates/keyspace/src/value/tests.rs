//! The collections against simple models, and their accounts against a recount.

use proptest::prelude::*;

use super::*;
use crate::seed::Seed;

const SEED: Seed = Seed([1, 2]);

fn edit<T: Typed>(value: &mut T) -> Edit<'_, T> {
    Edit::new(value, None)
}

#[derive(Clone, Debug)]
enum Change {
    Insert(u8, i8),
    Remove(u8),
    RemoveRange(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => (any::<u8>(), -5i8..5).prop_map(|(member, score)| Change::Insert(member, score)),
        2 => any::<u8>().prop_map(Change::Remove),
        1 => (0usize..100, 0usize..8).prop_map(|(start, length)| Change::RemoveRange(start, length)),
    ];
    prop::collection::vec(change, 0..400)
}

fn name(member: u8) -> Vec<u8> {
    vec![b'm'; usize::from(member % 7)].into_iter().chain([member]).collect()
}

proptest! {
    #[test]
    fn a_sorted_set_is_a_sorted_vector(changes in changes()) {
        let mut zset = Zset::new();
        let mut model: Vec<(f64, Vec<u8>)> = Vec::new();
        for change in changes {
            match change {
                Change::Insert(member, score) => {
                    let (member, score) = (name(member), f64::from(score) / 2.0);
                    let old = model.iter().position(|(_, other)| *other == member).map(|at| model.remove(at).0);
                    model.push((score, member.clone()));
                    prop_assert_eq!(zset.insert(SEED, &member, score), old);
                }
                Change::Remove(member) => {
                    let member = name(member);
                    let old = model.iter().position(|(_, other)| *other == member).map(|at| model.remove(at).0);
                    prop_assert_eq!(zset.remove(&member), old);
                }
                Change::RemoveRange(start, length) => {
                    let start = start.min(model.len());
                    let end = (start + length).min(model.len());
                    model.drain(start..end);
                    prop_assert_eq!(edit(&mut zset).remove_range(start..end, || {}), end - start);
                }
            }
            model.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        }
        let all: Vec<(f64, Vec<u8>)> =
            zset.range(0..zset.len()).map(|(member, score)| (score, member.to_vec())).collect();
        prop_assert_eq!(&all, &model);
        let mut reversed: Vec<(f64, Vec<u8>)> =
            zset.range_reversed(0..zset.len()).map(|(member, score)| (score, member.to_vec())).collect();
        reversed.reverse();
        prop_assert_eq!(&reversed, &model);
        for (rank, (score, member)) in model.iter().enumerate() {
            prop_assert_eq!(zset.rank(member), Some(rank));
            prop_assert_eq!(zset.score(member), Some(*score));
            prop_assert_eq!(zset.ranked(rank), Some((member.as_slice(), *score)));
            prop_assert_eq!(zset.below(*score, member), rank);
        }
        for half in -12i8..12 {
            let score = f64::from(half) / 2.0;
            let below = model.iter().filter(|(other, _)| *other < score).count();
            prop_assert_eq!(zset.below(score, b""), below);
        }
        let bytes: usize = model.iter().map(|(_, member)| member.len()).sum();
        prop_assert_eq!(zset.bytes(), bytes as u64);
    }

    #[test]
    fn a_list_is_a_vector(ops in prop::collection::vec((0u8..8, -6i64..6, any::<u8>()), 0..200)) {
        let mut list = List::default();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for (op, number, byte) in ops {
            let element = vec![byte % 3; usize::from(byte % 3)];
            match op {
                0 | 1 => { list.push_front(&element); model.insert(0, element); }
                2 | 3 => { list.push_back(&element); model.push(element); }
                4 => {
                    let expected = if model.is_empty() { None } else { Some(model.remove(0)) };
                    prop_assert_eq!(list.pop_front().map(<[u8]>::into_vec), expected);
                }
                5 => prop_assert_eq!(list.pop_back().map(<[u8]>::into_vec), model.pop()),
                6 => {
                    let count = number.unsigned_abs() as usize;
                    let mut removed = 0;
                    while removed < count {
                        let at = match number < 0 {
                            true => model.iter().rposition(|other| *other == element),
                            false => model.iter().position(|other| *other == element),
                        };
                        let Some(at) = at else { break };
                        model.remove(at);
                        removed += 1;
                    }
                    prop_assert_eq!(edit(&mut list).remove(&element, count, number < 0, |_| {}), removed);
                }
                _ => {
                    let end = model.len().min(number.unsigned_abs() as usize * 3);
                    let start = end.min(usize::from(byte % 4));
                    edit(&mut list).trim(start..end, |_| {});
                    model.truncate(end);
                    model.drain(..start);
                }
            }
            let all: Vec<Vec<u8>> = list.iter().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(&all, &model);
            let bytes: usize = model.iter().map(Vec::len).sum();
            prop_assert_eq!(list.bytes(), bytes as u64);
        }
    }
}

/// Random numbers, the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A name, which is long now and then.
    fn name(&mut self, names: u64) -> Vec<u8> {
        let number = self.below(names);
        let length = if number % 250 == 100 { 90 } else { 3 };
        format!("{number:0length$}").into_bytes()
    }
}

/// Thousands of members, in an order that is split and joined again and again.
#[test]
fn a_large_sorted_set_is_a_sorted_vector() {
    for (names, scores) in [(20_000, 1_000_000), (20_000, 5), (6_000, 50)] {
        let mut numbers = Numbers(names + scores);
        let mut zset = Zset::new();
        let mut model = std::collections::BTreeMap::new();
        for growth in [9, 5, 1, 8, 0] {
            for _ in 0..names {
                let name = numbers.name(names);
                if numbers.below(10) < growth {
                    let score = numbers.below(scores) as f64;
                    assert_eq!(zset.insert(SEED, &name, score), model.insert(name, score));
                } else {
                    assert_eq!(zset.remove(&name), model.remove(&name));
                }
            }
            let mut sorted: Vec<(&[u8], f64)> = model.iter().map(|(name, score)| (&**name, *score)).collect();
            sorted.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(b.0)));
            assert!(zset.range(0..zset.len()).eq(sorted.iter().copied()));
            assert!(zset.range_reversed(0..zset.len()).eq(sorted.iter().rev().copied()));
            for (rank, (name, score)) in sorted.iter().enumerate().step_by(37) {
                assert_eq!((zset.rank(name), zset.score(name)), (Some(rank), Some(*score)));
                assert_eq!((zset.ranked(rank), zset.below(*score, name)), (Some((*name, *score)), rank));
                let end = sorted.len().min(rank + 700);
                assert!(zset.range(rank..end).eq(sorted[rank..end].iter().copied()));
                assert!(zset.range_reversed(rank..end).eq(sorted[rank..end].iter().rev().copied()));
            }
        }
        assert_eq!(zset.shed(usize::MAX), model.len());
    }
}

/// Long lists against a vector, also in the middle.
#[test]
fn a_long_list_is_a_vector() {
    let mut numbers = Numbers(5);
    for (growth, steps) in [(8, 3_000), (5, 6_000), (9, 9_000)] {
        let mut list = List::new();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for _ in 0..steps {
            let length = if numbers.below(40) == 0 { 1_500 } else { 12 };
            let element = vec![numbers.below(200) as u8; numbers.below(length) as usize];
            let at = numbers.below(model.len() as u64 + 1) as usize;
            match numbers.below(12) {
                0 | 1 if growth > numbers.below(10) => {
                    list.push_front(&element);
                    model.insert(0, element);
                }
                what if what < growth => {
                    list.push_back(&element);
                    model.push(element);
                }
                9 if at < model.len() => {
                    assert!(edit(&mut list).set(at as i64, &element));
                    model[at] = element;
                }
                10 if at < model.len() => {
                    let pivot = model[at].clone();
                    let first = model.iter().position(|other| *other == pivot).expect("it is there");
                    assert!(edit(&mut list).insert(&pivot, true, &element, || {}));
                    model.insert(first + 1, element);
                }
                11 if numbers.below(300) == 0 => {
                    let end = at.max(model.len() / 2);
                    edit(&mut list).trim(at.min(9)..end, |_| {});
                    model.truncate(end);
                    model.drain(..at.min(9));
                }
                11 if numbers.below(100) == 0 => {
                    let there = model.iter().filter(|other| **other == element).count();
                    assert_eq!(edit(&mut list).remove(&element, 3, false, |_| {}), there.min(3));
                    for _ in 0..there.min(3) {
                        model.remove(model.iter().position(|other| *other == element).expect("it is there"));
                    }
                }
                6 => assert_eq!(list.pop_back().map(<[u8]>::into_vec), model.pop()),
                7 if !model.is_empty() => {
                    assert_eq!(list.pop_front().map(<[u8]>::into_vec), Some(model.remove(0)));
                }
                _ => assert_eq!(list.get(at as i64), model.get(at).map(Vec::as_slice)),
            }
            assert_eq!(list.len(), model.len());
            if numbers.below(100) == 0 {
                assert!(list.iter().eq(model.iter().map(Vec::as_slice)));
                assert!(list.iter_reversed().eq(model.iter().rev().map(Vec::as_slice)));
                assert!(list.range(at.min(model.len())..model.len()).eq(model[at.min(model.len())..].iter()));
                assert_eq!(list.bytes(), model.iter().map(|element| element.len() as u64).sum::<u64>());
            }
        }
    }
}

/// Whatever came before, a collection is the same as one that was built of an image of it: in its order, in
/// its form, and in what it counts for.
#[test]
fn the_form_depends_on_the_elements_alone() {
    let mut numbers = Numbers(3);
    let (mut hash, mut set, mut zset) = (Hash::new(), Set::new(), Zset::new());
    let (mut forms, mut model) = ([0, 0], std::collections::BTreeMap::new());
    for step in 0..20_000 {
        // Long phases with few, with many, and with some 128.
        let (names, growth) = [(40, 5), (600, 7), (260, 5)][step / 2_000 % 3];
        if step % 2_000 == 0 {
            (hash, set, zset) = (Hash::new(), Set::new(), Zset::new());
            model.clear();
        }
        let (name, value) = (numbers.name(names), numbers.name(300));
        if numbers.below(10) < growth {
            hash.insert(SEED, &name, &value);
            set.insert(SEED, &name);
            zset.insert(SEED, &name, numbers.below(20) as f64);
            model.insert(name, value);
        } else {
            hash.remove(&name);
            set.remove(&name);
            zset.remove(&name);
            model.remove(&name);
        }
        let is_few = set.len() <= PACKED_MAX && set.iter().all(|member| member.len() <= PACKED_BYTES_MAX);
        assert_eq!(matches!(set, Set::Few(_)), is_few);
        assert_eq!(matches!(zset, Zset::Few(_)), is_few);
        forms[usize::from(is_few)] += 1;
        if step % 20 == 0 {
            let sorted: std::collections::BTreeMap<_, _> =
                hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
            assert_eq!(sorted, model);
            let (mut hash_again, mut set_again) = (Hash::new(), Set::new());
            for (field, value) in hash.iter() {
                assert!(hash_again.insert(Seed([8, 9]), field, value));
            }
            for member in set.iter() {
                assert!(set_again.insert(Seed([8, 9]), member));
            }
            let pairs: Vec<(&[u8], f64)> = zset.iter().collect();
            let zset_again = Zset::of(Seed([8, 9]), &pairs).expect("no member comes twice");
            assert!(hash.iter().eq(hash_again.iter()) && hash.memory() == hash_again.memory());
            assert!(set.iter().eq(set_again.iter()) && set.memory() == set_again.memory());
            assert!(zset.iter().eq(zset_again.iter()) && zset.memory() == zset_again.memory());
            assert_eq!(hash.encoding(&Encodings::default()), hash_again.encoding(&Encodings::default()));
            for (position, member) in set.iter().enumerate() {
                assert_eq!(set.at(position), Some(member));
                assert_eq!(zset.at(position), Some(pairs[position]));
            }
        }
    }
    assert!(forms.iter().all(|count| *count > 3_000), "{forms:?}");
}

#[test]
fn text_is_canonical() {
    assert_eq!(Text::new(b"12"), Text::Integer(12));
    let raw = Text::new(b"12x");
    assert_eq!(raw, Text::Raw(b"12x"));
    assert_eq!((raw.len(), raw.memory(), raw.encoding()), (3, 3, "embstr"));
    assert!(matches!(Value::of_bytes(b"-7".to_vec()), Value::Integer(-7)));
    assert!(matches!(Value::of_bytes(b"-07".to_vec()), Value::Raw(bytes) if bytes == b"-07"));
}

#[test]
fn a_copy_of_a_list_has_the_same_elements() {
    let mut list = List::new();
    assert!(list.copy_to_read().iter().eq(list.iter()));
    for number in 0..100_000u32 {
        let length = if number % 9_973 == 0 { 40_000 } else { number as usize % 20 };
        list.push_back(&vec![number as u8; length]);
        if number == 5 {
            assert!(list.copy_to_read().iter().eq(list.iter()));
        }
    }
    let copy = list.copy_to_read();
    assert_eq!((copy.len(), copy.memory()), (list.len(), list.memory()));
    assert!(copy.iter().eq(list.iter()));
    for start in [0, 1, 4_999, 50_000, 99_999, 100_000] {
        assert!(copy.range(start..list.len()).eq(list.range(start..list.len())), "from {start} on");
    }
}
