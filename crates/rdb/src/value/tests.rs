use proptest::prelude::*;

use super::*;
use crate::{Node, Output};

/// The elements of a value, as texts.
fn read(bytes: &[u8]) -> Result<Vec<String>, Corrupt> {
    let (kind, rest) = bytes.split_first().ok_or(CUT)?;
    let (mut input, mut elements) = (Input::new(rest), Vec::new());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    read_value::<Corrupt>(Kind::of_byte(*kind)?, &mut input, &mut |element| {
        elements.push(match element {
            Element::Text(bytes) | Element::Item(bytes) | Element::Member(bytes) => text(bytes),
            Element::Field(field, value) => format!("{}={}", text(field), text(value)),
            Element::Scored(member, score) => format!("{}={score}", text(member)),
            Element::Entry((ms, seq), pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|part| text(part)).collect();
                format!("{ms}-{seq} {}", pairs.join(" "))
            }
            Element::Group { name, last, read } => format!("group {} {last:?} {read:?}", text(name)),
            Element::Consumer { name, seen, active } => format!("consumer {} {seen} {active:?}", text(name)),
            other => format!("{other:?}"),
        });
        Ok(())
    })?;
    if input.is_empty() { Ok(elements) } else { Err(Corrupt("something follows")) }
}

fn is_read(bytes: &[u8], wanted: &[&str]) {
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    assert_eq!(read(bytes), Ok(wanted));
}

#[test]
fn what_redis_7_0_writes_is_read() {
    is_read(b"\x00\xc3\x0a\x40\x50\x02\x61\x62\x61\xe0\x42\x01\x01\x61\x62", &[&"ab".repeat(40)]);
    let list = b"\x12\x01\x02\xc3\x18\x40\x58\x10\x58\x00\x00\x00\x04\x00\x81\x61\x02\x01\x01\xdf\xff\x02\xe0\x46\x78\
        \xe0\x3c\x00\x01\x48\xff";
    is_read(list, &["a", "1", "-1", &"x".repeat(70)]);
    let hash = b"\x10\x14\x14\x00\x00\x00\x04\x00\x81\x66\x02\x81\x76\x02\x81\x6e\x02\xf1\x39\x30\x03\xff";
    is_read(hash, &["f=v", "n=12345"]);
    let intset = b"\x0b\x14\x04\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x70\x11\x01\x00";
    is_read(intset, &["1", "2", "70000"]);
    is_read(b"\x02\x02\x01\x62\x01\x61", &["b", "a"]);
    let zset = b"\x11\x1d\x1d\x00\x00\x00\x06\x00\x81\x62\x02\x84\x2d\x69\x6e\x66\x05\x81\x61\x02\x83\x31\x2e\x35\x04\
        \x81\x63\x02\x03\x01\xff";
    is_read(zset, &["b=-inf", "a=1.5", "c=3"]);
    let stream = b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x3d\x3d\x00\x00\x00\
        \x18\x00\x02\x01\x01\x01\x01\x01\x81\x66\x02\x00\x01\x02\x01\x00\x01\x00\x01\x01\x01\x04\x01\x03\x01\x00\x01\
        \x01\x01\x02\x01\x04\x01\x00\x01\x02\x01\xdf\xff\x02\x02\x01\x81\x67\x02\x81\x61\x02\x81\x68\x02\x81\x62\x02\
        \x08\x01\xff\x02\x07\x00\x05\x01\x05\x02\x03\x01\x01\x67\x05\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\
        \x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x08\xcb\xe5\x2d\xa2\x01\x00\x00\x01\x01\x01\x63\
        \x08\xcb\xe5\x2d\xa2\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01";
    let wanted = [
        "5-1 f 1",
        "7-0 g a h b",
        "Stream { last: (7, 0), deleted: (5, 2), added: 3 }",
        "group g (5, 1) Unknown",
        "Pending { id: (5, 1), delivered: 1796066364168, deliveries: 1 }",
        "consumer c 1796066364168 Some(1796066364168)",
        "Owned((5, 1))",
    ];
    is_read(stream, &wanted);
}

#[test]
fn what_older_versions_wrote_is_read() {
    // Until Redis 4: scores as texts.
    is_read(b"\x03\x04\x01a\x031.5\x01b\xff\x01c\xfe\x01d\x02-3", &["a=1.5", "b=-inf", "c=inf", "d=-3"]);
    assert!(read(b"\x03\x01\x01a\xfd").is_err(), "a score that is no number");
    // Before Redis 2.6: a zipmap.
    is_read(b"\x09\x08\x01\x01a\x02\x00bc\xff", &["a=bc"]);
    // Until Redis 7: ziplists, those of a list in a row since 3.2.
    let ziplist = b"\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\xf3\xff";
    let of_kind = |kind: &[u8]| [kind, ziplist].concat();
    is_read(&of_kind(b"\x0a"), &["a", "2"]);
    is_read(&of_kind(b"\x0c"), &["a=2"]);
    is_read(&of_kind(b"\x0d"), &["a=2"]);
    is_read(&of_kind(b"\x0e\x01"), &["a", "2"]);
}

#[test]
fn what_is_written_is_read() {
    let mut list = Output::new(Kind::List);
    list.length(9);
    let texts = ["", "a", "0", "-128", "32767", "-2147483648", "2147483648", "007"].map(String::from);
    texts.iter().for_each(|text| list.string(text.as_bytes()));
    list.string(&[b'x'; 20_000]);
    let mut wanted: Vec<String> = texts.into();
    wanted.push("x".repeat(20_000));
    assert_eq!(read(&list.into_bytes()), Ok(wanted));
}

#[test]
fn entries_of_a_stream_may_go_back_in_their_number() {
    let (mut stream, field) = (Output::new(Kind::Stream7), (b"f".as_slice(), b"1".as_slice()));
    stream.length(1);
    let mut node = Node::new((5, 9), std::iter::once(field.0));
    node.entry((5, 9), &[field]);
    node.entry((7, 0), &[field, (b"g", b"text")]);
    node.entry((u64::MAX, u64::MAX), &[(b"h", b"")]);
    stream.node(node);
    stream.length(3);
    for id in [(u64::MAX, u64::MAX), (5, 9), (0, 0)] {
        stream.id(id);
    }
    stream.length(3);
    stream.length(0);
    let max = u64::MAX;
    let last = format!("Stream {{ last: ({max}, {max}), deleted: (0, 0), added: 3 }}");
    is_read(&stream.into_bytes(), &["5-9 f 1", "7-0 f 1 g text", &format!("{max}-{max} h "), &last]);
}

#[test]
fn a_node_is_full_by_entries_or_bytes() {
    let pair = (b"f".as_slice(), b"1".as_slice());
    let mut node = Node::new((1, 0), std::iter::once(pair.0));
    assert!(!node.is_full(1 << 20), "one entry has a place, however large it is");
    (0..100).for_each(|number| node.entry((1, number), &[pair]));
    assert!(node.is_full(0));
    let mut node = Node::new((1, 0), std::iter::once(pair.0));
    node.entry((1, 0), &[(b"f", &[b'x'; 4000])]);
    assert!(node.is_full(200) && !node.is_full(10));
}

#[test]
fn unknown_kinds_are_refused() {
    for byte in [6, 7, 8, 22, 255] {
        assert!(Kind::of_byte(byte).is_err(), "{byte}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_bytes_are_believed(kind in 0..22u8, rest in proptest::collection::vec(any::<u8>(), 0..60)) {
        drop(read(&[&[kind], rest.as_slice()].concat()));
    }

    #[test]
    fn no_listpack_is_believed(
        kind in proptest::sample::select(vec![16u8, 17, 20]),
        entries in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let length = 7 + entries.len() as u8;
        let header = [kind, length, length, 0, 0, 0, 0xff, 0xff];
        drop(read(&[header.as_slice(), &entries, &[0xff]].concat()));
    }
}
