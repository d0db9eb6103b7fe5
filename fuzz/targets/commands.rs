//! Commands, a line each: two machines with other seeds, of which one goes on from an image of itself now and
//! then, say the same and hold the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onecopy_fuzz::{Machine, commands};
use onecopy_resp::Version;

fuzz_target!(|bytes: &[u8]| {
    let (mut first, mut second) = (Machine::new(1), Machine::new(u64::MAX / 3));
    for (step, words) in commands(bytes).into_iter().take(64).enumerate() {
        let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let version = if step % 2 == 0 { Version::Two } else { Version::Three };
        assert_eq!(first.apply(version, &args), second.apply(version, &args), "step {step}");
        if step % 8 == 7 {
            second = second.restored(step as u64);
            first.sleep(1000);
            second.sleep(1000);
        }
    }
    assert_eq!(first.digest(), second.digest());
    assert_eq!(second.digest(), second.restored(9).digest());
});
