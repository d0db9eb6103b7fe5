//! Images: one that was changed is an error, or else the same. The checksum stands at the end, so all of it
//! is looked at before.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onecopy_fuzz::{Machine, commands};
use onecopy_resp::Version;

// Commands up to the first zero; then what is changed in the image of what they leave: three bytes each,
// where, and what stands there instead.
fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (said, changes) = bytes.split_at(end);
    let mut machine = Machine::new(1);
    for words in commands(said).into_iter().take(64) {
        let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        machine.apply(Version::Two, &args);
    }
    let whole = machine.image();
    let mut image = whole.clone();
    for change in changes.get(1..).unwrap_or_default().chunks_exact(3) {
        let position = usize::from(u16::from_le_bytes([change[0], change[1]])) % image.len();
        image[position] = change[2];
    }
    let is_restored = Machine::new(2).restore(&image);
    assert_eq!(is_restored, image == whole);
});
