use super::*;
use crate::{Kind, Output, seal};

/// A payload of a string.
fn text(text: &[u8]) -> Vec<u8> {
    let mut out = Output::new(Kind::String);
    out.string(text);
    let mut payload = out.into_bytes();
    seal(&mut payload, crate::RDB_VERSION, &mut |_| {});
    payload
}

fn written() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Format::SevenTwo).expect("begun");
    writer.note("redis-ver", "7.2.0").expect("a note");
    writer.library(b"#!lua name=lib\n").expect("a library");
    writer.database(0).expect("a database");
    writer.key(b"key", None, &text(b"value")).expect("a key");
    writer.key(b"12", Some(1_700_000_000_123), &text(b"7")).expect("a key");
    writer.database(300).expect("a database");
    writer.key(b"", None, &text(&[b'x'; 100_000])).expect("a key");
    writer.finish().expect("ended")
}

fn items(bytes: &[u8]) -> Result<Vec<Item>, FileError> {
    let mut reader = Reader::new(bytes)?;
    let mut items = Vec::new();
    while let Some(item) = reader.read()? {
        items.push(item);
    }
    Ok(items)
}

#[test]
fn what_is_written_is_read() {
    let key = |name: &[u8], expires, payload| {
        Item::Key(Key { name: name.to_vec(), expires, value: Value::Payload(payload) })
    };
    assert_eq!(
        items(&written()).expect("items"),
        [
            Item::Library(b"#!lua name=lib\n".to_vec()),
            Item::Database(0),
            key(b"key", None, text(b"value")),
            key(b"12", Some(1_700_000_000_123), text(b"7")),
            Item::Database(300),
            key(b"", None, text(&[b'x'; 100_000])),
        ]
    );
}

#[test]
fn what_stands_behind_a_file_is_left_there() {
    let mut bytes = written();
    bytes.extend(b"more");
    let mut reader = Reader::new(bytes.as_slice()).expect("a file");
    while reader.read().expect("a part").is_some() {}
    assert_eq!((reader.position(), reader.into_inner()), (bytes.len() as u64 - 4, b"more".as_slice()));
}

#[test]
fn a_file_that_was_cut_or_changed_is_an_error_and_nothing_else() {
    let whole = written();
    for length in 0..whole.len().min(300) {
        assert!(items(&whole[..length]).is_err(), "{length} bytes");
    }
    for position in (0..200).chain(whole.len() - 20..whole.len()) {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[position] ^= 1 << bit;
            // The version of the file stands for itself, as long as it has a checksum.
            if (5..9).contains(&position) {
                let _ = items(&changed);
            } else {
                assert!(items(&changed).is_err(), "byte {position}, bit {bit}");
            }
        }
    }
}

#[test]
fn what_only_modules_and_later_versions_know_is_passed_over() {
    let mut file = b"REDIS0012".to_vec();
    // What a module has to say: its id, when, a string, and the end.
    file.extend([0xf7, 5, 2, 1, 5, 2, b'h', b'i', 0]);
    file.extend([0xf4, 1, 2, 3, 0xfb, 2, 0, 0xf8, 9, 0xf9, 7]);
    // A module's value: a number, a float, a double.
    file.extend([7, 1, b'm', 3, 1, 9, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([24, 1, b'h', 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b'f', 1, b'v']);
    file.extend([0, 1, b's', 1, b'v', 0xff]);
    file.extend([0; 8]);
    let foreign = |name: &[u8], reason| {
        Item::Key(Key { name: name.to_vec(), expires: None, value: Value::Foreign(reason) })
    };
    let whole = Item::Key(Key { name: b"s".to_vec(), expires: None, value: Value::Payload(text(b"v")) });
    assert_eq!(
        items(&file).expect("items"),
        [foreign(b"m", "it is a module's"), foreign(b"h", "it is a hash whose fields expire"), whole]
    );
}

#[test]
fn lengths_that_claim_too_much_cost_nothing() {
    let mut file = b"REDIS0011".to_vec();
    file.extend([
        1, 1, b'l', 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 0xff, 0xff, 0xff, 0xff,
    ]);
    assert!(matches!(items(&file), Err(FileError::Corrupt { what: CUT, .. })));
}

const CUT: crate::Corrupt = crate::CUT;
