//! A host without data, for the tests of scripts.

#![allow(dead_code)]

use onecopy_resp::{Version, Writer};
use onecopy_script::{Call, Engine, Host, Stop, name_of};

/// Answers `echo`, and counts.
#[derive(Debug)]
pub struct Plain {
    pub seed: u64,
    pub time_ms: u64,
    pub steps: usize,
    pub steps_max: usize,
    pub calls: usize,
}

impl Plain {
    pub fn new(seed: u64) -> Self {
        Self { seed, time_ms: 1_700_000_000_123, steps: 0, steps_max: 4_000_000, calls: 0 }
    }
}

impl Host for Plain {
    fn call(&mut self, args: &[&[u8]], version: Version, reply: &mut Vec<u8>) -> Result<(), Call> {
        self.calls += 1;
        let mut reply = Writer::new(reply, version);
        match args[0] {
            b"echo" => reply.bulk(args[1]),
            b"list" => {
                reply.array(args.len() - 1);
                args[1..].iter().for_each(|arg| reply.bulk(arg));
            }
            b"fail" => reply.error("ERR failed"),
            _ => return Err(Call::Error("ERR Unknown Redis command called from script".into())),
        }
        self.work(1)?;
        Ok(())
    }

    fn work(&mut self, steps: usize) -> Result<(), Stop> {
        self.steps += steps;
        if self.steps > self.steps_max { Err(Stop::Work) } else { Ok(()) }
    }

    fn is_command(&self, name: &[u8]) -> bool {
        name == b"echo"
    }

    fn may(&self, _: &[&[u8]]) -> bool {
        true
    }

    fn time_ms(&self) -> u64 {
        self.time_ms
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

/// What a script answers, and how many steps it took.
pub fn run(engine: &mut Engine, script: &str, seed: u64) -> (Result<String, Stop>, usize) {
    run_within(engine, script, seed, 4_000_000)
}

/// The same, within so many steps.
pub fn run_within(
    engine: &mut Engine,
    script: &str,
    seed: u64,
    steps_max: usize,
) -> (Result<String, Stop>, usize) {
    let (mut host, mut out) = (Plain { steps_max, ..Plain::new(seed) }, Vec::new());
    let mut reply = Writer::new(&mut out, Version::Three);
    let name = name_of(script.as_bytes());
    let keys: [&[u8]; 2] = [b"k1", b"k2"];
    let outcome = engine.run((&name, script.as_bytes()), &keys, &[b"a1"], &mut host, &mut reply);
    (outcome.map(|_| String::from_utf8_lossy(&out).into_owned()), host.steps)
}
