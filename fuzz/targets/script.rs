//! Scripts: two machines with other seeds and other histories of allocation say the same and hold the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onecopy_fuzz::Machine;
use onecopy_resp::Version;

fuzz_target!(|script: &[u8]| {
    let (mut first, mut second) = (Machine::new(1), Machine::new(u64::MAX / 3));
    // Another history: the second has something to forget.
    second.apply(Version::Two, &[b"EVAL", b"local t = {} for i = 1, 500 do t[i] = {i} end return #t", b"0"]);
    first.apply(Version::Two, &[b"EVAL", b"return 500", b"0"]);
    first.apply(Version::Two, &[b"SCRIPT", b"FLUSH"]);
    second.apply(Version::Two, &[b"SCRIPT", b"FLUSH"]);
    for version in [Version::Two, Version::Three] {
        let args: [&[u8]; 5] = [b"EVAL", script, b"1", b"key", b"argument"];
        assert_eq!(first.apply(version, &args), second.apply(version, &args));
    }
    let mut restored = second.restored(3);
    assert_eq!(first.digest(), restored.digest());
    let args: [&[u8]; 5] = [b"EVAL", script, b"1", b"key", b"argument"];
    assert_eq!(first.apply(Version::Two, &args), restored.apply(Version::Two, &args));
});
