//! RDB files: whatever stands in one, reading it ends, with an error or with payloads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onecopy_rdb::file::{Item, Reader, Value};
use onecopy_rdb::{Corrupt, Input, Kind, open, read_value};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::new(bytes) else { return };
    while let Ok(Some(item)) = reader.read() {
        let Item::Key(key) = item else { continue };
        let Value::Payload(payload) = key.value else { continue };
        let value = open(&payload, &mut |_| {}).expect("a payload that was sealed just now");
        let (kind, rest) = value.split_first().expect("a kind");
        let kind = Kind::of_byte(*kind).expect("a kind that the reader knows");
        let mut input = Input::new(rest);
        // What the reader has passed over may be corrupt inside; what is whole ends where it says.
        if read_value::<Corrupt>(kind, &mut input, &mut |_| Ok(())).is_ok() {
            assert!(input.is_empty(), "a value ends before the reader says");
        }
    }
});
