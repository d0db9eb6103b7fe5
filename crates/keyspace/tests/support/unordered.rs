//! Replies whose elements come in any order, put into one.

use super::Reply;
use super::templates::Compare;

fn sort(items: Vec<Reply>, width: usize) -> Vec<Reply> {
    let mut groups: Vec<Vec<Reply>> = items.chunks(width).map(<[Reply]>::to_vec).collect();
    groups.sort_by_key(|group| group.iter().map(Reply::text).collect::<Vec<_>>());
    groups.concat()
}

/// The elements of a reply in an order of their own, where their order says nothing.
pub fn unordered(reply: Reply, compare: Compare) -> Reply {
    match (reply, compare) {
        (Reply::Array(items), Compare::Sorted) => Reply::Array(sort(items, 1)),
        (Reply::Array(items), Compare::SortedPairs) => {
            // In RESP3 some pairs are arrays of their own.
            let width = if matches!(items.first(), Some(Reply::Array(_))) { 1 } else { 2 };
            Reply::Array(sort(items, width))
        }
        (Reply::Set(items), _) => Reply::Set(sort(items, 1)),
        (Reply::Map(items), _) => Reply::Map(sort(items, 2)),
        (Reply::Array(mut items), Compare::Scan(width)) if items.len() == 2 => {
            let Some(Reply::Array(found)) = items.pop() else { panic!("a scan's second part") };
            items.push(Reply::Array(sort(found, width)));
            Reply::Array(items)
        }
        (other, _) => other,
    }
}
