//! A script pauses on a stack of its own, goes on there, and may be dropped with it in the middle.

mod hosted;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use hosted::Plain;
use onecopy_resp::{Version, Writer};
use onecopy_script::{Call, Engine, Host, Stop};

/// As large as the stacks of groups are.
const STACK_BYTES: usize = 1 << 20;

/// Pauses whenever work is done.
struct Pausing<'y> {
    plain: Plain,
    yielder: &'y Yielder<(), ()>,
}

impl Host for Pausing<'_> {
    fn call(&mut self, args: &[&[u8]], version: Version, reply: &mut Vec<u8>) -> Result<(), Call> {
        self.yielder.suspend(());
        self.plain.call(args, version, reply)
    }

    fn work(&mut self, steps: usize) -> Result<(), Stop> {
        self.yielder.suspend(());
        self.plain.work(steps)
    }

    fn is_command(&self, name: &[u8]) -> bool {
        self.plain.is_command(name)
    }

    fn may(&self, _: &[&[u8]]) -> bool {
        true
    }

    fn time_ms(&self) -> u64 {
        self.plain.time_ms()
    }

    fn seed(&self) -> u64 {
        self.plain.seed()
    }
}

/// A script, ready to run on another stack.
fn pausing(script: &'static str) -> Coroutine<(), (), Result<Vec<u8>, Stop>> {
    let stack = DefaultStack::new(STACK_BYTES).expect("memory");
    Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
        let mut host = Pausing { plain: Plain::new(1), yielder };
        let mut out = Vec::new();
        let mut reply = Writer::new(&mut out, Version::Two);
        let outcome = Engine::new().run(("name", script.as_bytes()), &[], &[], &mut host, &mut reply);
        outcome.map(|_| out)
    })
}

#[test]
fn a_script_goes_on_where_it_paused() {
    let script = "local n = 0 for i = 1, 100000 do n = n + i end
                  local ok, list = pcall(redis.call, 'list', 'a', 'b') return {n, list}";
    let (mut run, mut pauses) = (pausing(script), 0);
    let reply = loop {
        match run.resume(()) {
            CoroutineResult::Yield(()) => pauses += 1,
            CoroutineResult::Return(reply) => break reply.expect("is not stopped"),
        }
    };
    assert_eq!(reply, b"*2\r\n:5000050000\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert!(pauses > 100, "{pauses}");
}

#[test]
fn a_script_is_dropped_in_the_middle_whatever_it_would_catch() {
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(redis.call, 'echo', 'x') end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "local function f() pcall(f) while true do end end f()",
        "local t = {} for i = 1, 1000 do t[i] = i end
         while true do table.sort(t, function(a, b) return redis.call('echo', '1') and a < b end) end",
        "while true do ('x'):rep(100):gsub('x', function() return redis.call('echo', 'y') end) end",
    ] {
        for pauses in [1, 2, 7, 40] {
            let mut run = pausing(script);
            for _ in 0..pauses {
                assert!(matches!(run.resume(()), CoroutineResult::Yield(())), "{script}");
            }
            drop(run);
        }
    }
}

#[test]
fn the_stack_is_large_enough_for_what_is_deepest() {
    let nested = "local function f(n) return ('x'):gsub('x', function() return n == 0 and redis.call('echo', 'y') or f(n - 1) end) end
                  local ok, e = pcall(f, 1000) return tostring(ok)";
    let json = "local ok, e = pcall(cjson.decode, ('['):rep(100000)) return tostring(ok)";
    let deep = "local t = {} for i = 1, 999 do t = {t} end return #cjson.encode(t)";
    let packed = "local ok = pcall(cmsgpack.unpack, ('\\145'):rep(100000)) return tostring(ok)";
    let pattern = "local ok = pcall(string.find, ('a'):rep(1000), ('a?'):rep(100000)) return tostring(ok)";
    let parser = "local f = loadstring('return ' .. ('('):rep(100000)) return tostring(f)";
    for (script, expected) in [
        (nested, "$5\r\nfalse\r\n"),
        (json, "$5\r\nfalse\r\n"),
        (deep, ":2000\r\n"),
        (packed, "$5\r\nfalse\r\n"),
        (pattern, "$5\r\nfalse\r\n"),
        (parser, "$3\r\nnil\r\n"),
    ] {
        let mut run = pausing(script);
        let reply = loop {
            if let CoroutineResult::Return(reply) = run.resume(()) {
                break reply.expect("is not stopped");
            }
        };
        assert_eq!(String::from_utf8_lossy(&reply), expected, "{script}");
    }
}
