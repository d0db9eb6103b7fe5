//! A stream against a sorted map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::value::Edit;

type Model = BTreeMap<Id, Vec<(Vec<u8>, Vec<u8>)>>;

fn edit(stream: &mut Stream) -> Edit<'_, Stream> {
    Edit::new(stream, None)
}

fn id(ms: u64) -> Id {
    Id { ms: ms / 3, seq: ms % 3 }
}

fn flat(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<&[u8]> {
    pairs.iter().flat_map(|(name, value)| [name.as_slice(), value]).collect()
}

/// A stream that was made of the items of another.
fn rebuilt(stream: &Stream) -> Option<Stream> {
    let mut building = Building::new();
    for item in stream.items_from(0) {
        building.add(item.as_ref())?;
    }
    building.finish()
}

fn check(stream: &Stream, model: &Model) {
    let owned = |entry: Entry<'_>| {
        let pairs = entry.pairs().map(|(name, value)| (name.to_vec(), value.to_vec())).collect::<Vec<_>>();
        assert!(
            pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() as u64 <= entry.size()
        );
        (entry.id, pairs)
    };
    let all: Vec<_> = stream.log.iter().map(owned).collect();
    assert!(all.iter().map(|(id, pairs)| (id, pairs)).eq(model));
    assert_eq!(stream.log.len(), model.len());
    let mut reversed: Vec<_> = stream.log.range_reversed(Id::ZERO, Id::MAX).map(owned).collect();
    reversed.reverse();
    assert_eq!(reversed, all);
    for (start, end) in [(10, 200), (400, 100), (333, 333)].map(|(start, end)| (id(start), id(end))) {
        let ids = stream.log.range(start, end).map(|entry| entry.id);
        let expected: Vec<Id> = model.keys().copied().filter(|id| (start..=end).contains(id)).collect();
        assert!(ids.eq(expected.iter().copied()));
        let ids = stream.log.range_reversed(start, end).map(|entry| entry.id);
        assert!(ids.eq(expected.iter().rev().copied()));
        assert_eq!(stream.log.get(start).map(|entry| entry.id), model.get(&start).map(|_| start));
    }
    let again = rebuilt(stream).expect("its items make a stream");
    assert_eq!((again.memory(), again.len()), (stream.memory(), stream.len()));
    let items: Vec<Vec<u8>> = stream.items_from(0).map(|item| item.as_ref().to_vec()).collect();
    assert_eq!(items.len(), stream.len());
    for start in 0..items.len() + 1 {
        assert!(
            stream.items_from(start).map(|item| item.as_ref().to_vec()).eq(items[start..].iter().cloned())
        );
    }
    assert!(again.items_from(0).map(|item| item.as_ref().to_vec()).eq(items));
    let copy = stream.copy(&mut |_| {});
    assert_eq!((copy.memory(), copy.len()), (stream.memory(), stream.len()));
}

proptest! {
    #[test]
    fn a_stream_is_a_sorted_map(
        steps in prop::collection::vec((0u8..16, any::<u16>(), 0usize..5_000), 1..500)
    ) {
        let (mut stream, mut model, mut last) = (Stream::new(), Model::new(), 0);
        stream.add_group(b"g", Group::new(Id::ZERO, None));
        for (step, number, length) in steps {
            match step {
                0..=9 => {
                    last += 1 + u64::from(number % 5);
                    let value = match number % 4 {
                        0 => (i64::MIN >> (length % 64)).to_string().into_bytes(),
                        1 => (i64::MAX >> (length % 64)).to_string().into_bytes(),
                        _ => vec![b'v'; if number % 50 == 2 { length } else { length % 30 }],
                    };
                    let pairs = (0..1 + number % 3).map(|field| {
                        (format!("field{}", field + number / 7 % 2).into_bytes(), value.clone())
                    });
                    let pairs: Vec<_> = pairs.collect();
                    stream.append(id(last), &flat(&pairs), Budget::ENDLESS);
                    model.insert(id(last), pairs);
                    let delivered = Pending { id: id(last), consumer: 0, delivered: 5, deliveries: 1 };
                    stream.change_group(b"g", |_, group| {
                        let consumer = group.hear_of(&[b'a' + (number % 4) as u8], last);
                        group.assign(Pending { consumer, ..delivered });
                    });
                }
                10..=12 => {
                    let id = id(u64::from(number) % (last + 1));
                    prop_assert_eq!(edit(&mut stream).remove(id), model.remove(&id).is_some());
                    stream.change_group(b"g", |_, group| group.forget(id));
                }
                13 => {
                    let name = [b'a' + (number % 4) as u8];
                    stream.change_group(b"g", |_, group| group.remove_consumer(&name, || {}));
                }
                _ => {
                    let kept = model.len().saturating_sub(length % 150);
                    let by_chunks = number % 2 == 0;
                    let limit = if number % 3 == 0 { length % 200 } else { usize::MAX };
                    let kept = if step == 14 { Kept::Newest(kept) } else {
                        Kept::From(model.keys().nth(length % 150).copied().unwrap_or(Id::ZERO))
                    };
                    let removed = edit(&mut stream).trim(&Trim { kept, by_chunks, limit }, Budget::ENDLESS);
                    prop_assert!(removed <= limit);
                    for _ in 0..removed {
                        let (first, _) = model.pop_first().expect("no more than there are");
                        let went = match kept {
                            Kept::Newest(kept) => model.len() >= kept,
                            Kept::From(from) => first < from,
                        };
                        prop_assert!(went);
                    }
                    if !by_chunks && limit == usize::MAX {
                        let is_trimmed = match kept {
                            Kept::Newest(kept) => model.len() <= kept,
                            Kept::From(from) => model.keys().all(|id| *id >= from),
                        };
                        prop_assert!(is_trimmed);
                    }
                }
            }
        }
        check(&stream, &model);
        while stream.shed(7) >= 7 {}
        prop_assert!(stream.log.chunks() == 0 && stream.groups.is_empty());
    }

    #[test]
    fn damaged_items_are_no_stream_or_another(
        at: prop::sample::Index, bit in 0u8..8, cut: prop::sample::Index
    ) {
        let mut stream = Stream::new();
        for ms in 1..40 {
            let pairs = [&b"field"[..], b"value", b"other", b"1"];
            stream.append(Id { ms, seq: ms % 2 }, &pairs[..if ms % 7 == 0 { 2 } else { 4 }], Budget::ENDLESS);
        }
        stream.add_group(b"group", Group::new(Id { ms: 7, seq: 0 }, Some(7)));
        stream.change_group(b"group", |_, group| {
            let consumer = group.hear_of(b"consumer", 99);
            group.assign(Pending { id: Id { ms: 3, seq: 1 }, consumer, delivered: 98, deliveries: 2 });
        });
        let mut items: Vec<Vec<u8>> = stream.items_from(0).map(|item| item.as_ref().to_vec()).collect();
        let count = items.len();
        let item = &mut items[at.index(count)];
        match item.len() {
            0 => item.push(0),
            length => item[cut.index(length)] ^= 1 << bit,
        }
        let mut building = Building::new();
        if items.iter().all(|item| building.add(item).is_some()) && let Some(built) = building.finish() {
            prop_assert!(!built.items_from(0).map(|item| item.as_ref().to_vec()).eq(
                stream.items_from(0).map(|item| item.as_ref().to_vec())
            ));
        }
        prop_assert!(Building::new().finish().is_none());
    }
}
