//! The collections against simple models, and their accounts against a recount.

use proptest::prelude::*;

use super::*;

const SEED: Seed = Seed([1, 2]);

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
        let mut zset = Zset::new(SEED);
        let mut model: Vec<(f64, Vec<u8>)> = Vec::new();
        for change in changes {
            match change {
                Change::Insert(member, score) => {
                    let (member, score) = (name(member), f64::from(score) / 2.0);
                    let old = model.iter().position(|(_, other)| *other == member).map(|at| model.remove(at).0);
                    model.push((score, member.clone()));
                    prop_assert_eq!(zset.insert(&member, score), old);
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
                    prop_assert_eq!(zset.remove_range(start..end), end - start);
                }
            }
            model.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        }
        let all: Vec<(f64, Vec<u8>)> =
            zset.ranked().range(0..zset.len()).map(|(member, score)| (score, member.to_vec())).collect();
        prop_assert_eq!(&all, &model);
        let mut reversed: Vec<(f64, Vec<u8>)> =
            zset.ranked().range_reversed(0..zset.len()).map(|(member, score)| (score, member.to_vec())).collect();
        reversed.reverse();
        prop_assert_eq!(&reversed, &model);
        for (rank, (score, member)) in model.iter().enumerate() {
            prop_assert_eq!(zset.rank(member), Some(rank));
            prop_assert_eq!(zset.score(member), Some(*score));
            prop_assert_eq!(zset.ranked().at(rank), Some((member.as_slice(), *score)));
            prop_assert_eq!(zset.ranked().below(*score, member), rank);
        }
        for half in -12i8..12 {
            let score = f64::from(half) / 2.0;
            let below = model.iter().filter(|(other, _)| *other < score).count();
            prop_assert_eq!(zset.ranked().below(score, b""), below);
        }
        let bytes: usize = model.iter().map(|(_, member)| member.len()).sum();
        prop_assert_eq!(zset.memory(), bytes as u64 + 120 * model.len() as u64);
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
                    prop_assert_eq!(list.remove(&element, count, number < 0), removed);
                }
                _ => {
                    let end = model.len().min(number.unsigned_abs() as usize * 3);
                    let start = end.min(usize::from(byte % 4));
                    list.trim(start..end);
                    model.truncate(end);
                    model.drain(..start);
                }
            }
            let all: Vec<Vec<u8>> = list.iter().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(&all, &model);
            let bytes: usize = model.iter().map(Vec::len).sum();
            prop_assert_eq!(list.memory(), bytes as u64 + 32 * model.len() as u64);
        }
    }
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
