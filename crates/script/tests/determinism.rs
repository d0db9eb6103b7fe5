//! The same script does the same whatever ran in its state before.

mod hosted;

use hosted::{run, run_within};
use onecopy_script::{Engine, Stop};

/// Scripts that try to see what differs between copies.
const HOSTILE: &[&str] = &[
    "return tostring({}) .. tostring(function() end) .. tostring(coroutine.create(function() end))",
    "return tostring(print and print or redis.call) .. tostring(string) .. tostring(_G)",
    "local t = {} for i = 1, 100 do t[{}] = i end local s = '' for _, v in pairs(t) do s = s .. v .. ' ' end return s",
    "local t = {} for i = 1, 100 do t[function() return i end] = i end
     local s = '' for k, v in pairs(t) do s = s .. v .. ' ' end return s",
    "local t, a = {}, {} for i = 1, 50 do a[i] = {} t[a[i]] = i t['k' .. i] = i end
     for i = 1, 50, 3 do t[a[i]] = nil end for i = 1, 30 do t[i * 1.5] = i end
     local s = '' for k, v in pairs(t) do s = s .. type(k) .. v .. ' ' end return s",
    "local t = {} for i = 1, 64 do t['key' .. i] = i end for i = 1, 64, 2 do t['key' .. i] = nil end
     for i = 100, 130 do t[i] = i t['x' .. i] = true end
     local s = '' for k in pairs(t) do s = s .. tostring(k) .. ' ' end return s",
    "local t = {[true] = 1, [false] = 2, [1] = 3, [-1] = 4, [0.5] = 5, [1e300] = 6, a = 7}
     local s = '' local k, v = next(t) while k ~= nil do s = s .. v k, v = next(t, k) end return s",
    "return {collectgarbage('count'), gcinfo(), collectgarbage(), collectgarbage('step')}",
    "local w = setmetatable({}, {__mode = 'kv'}) for i = 1, 20000 do w[i] = {} end
     local n = 0 for _ in pairs(w) do n = n + 1 end return n",
    "local w = setmetatable({}, {__mode = 'k'}) for i = 1, 20000 do w[{}] = i end
     local n = 0 for _ in pairs(w) do n = n + 1 end return n",
    "local t = {} for i = 1, 20 do t[i] = math.random(1, 1000) end return table.concat(t, ',')",
    "math.randomseed(42) return tostring(math.random()) .. ' ' .. math.random(100)",
    "return tostring(os.clock()) .. ' ' .. tostring(os.clock() - os.clock())",
    "local t = {} for i = 1, 200 do t[i] = (i * 7919) % 101 end
     local ok, e = pcall(table.sort, t, function(a, b) return true end) return tostring(ok) .. tostring(e) .. table.concat(t, ',')",
    "local t = {} for i = 1, 200 do t[i] = {i % 7, i} end
     table.sort(t, function(a, b) return a[1] < b[1] end)
     local s = '' for _, v in ipairs(t) do s = s .. v[2] .. ' ' end return s",
    "return tostring(0/0) .. tostring(-(0/0)) .. tostring(1/0) .. string.format('%f %g %5.1f', 0/0, -(0/0), 1/0)",
    "return string.format('%.17g %.17g %.17g', math.sin(1), 2 ^ 0.3, math.exp(0.7)) .. math.log(10) .. math.atan2(1, 3)",
    "return cjson.encode({a = 1, b = {1, 2, {c = 3}}, [5] = 6, d = 0.1, e = 1e30})",
    "local t = {} for i = 1, 40 do t['f' .. i] = i end return cjson.encode(t) .. cmsgpack.pack(t):len()",
    "cjson.encode_sparse_array(true) cjson.encode_max_depth(3) cjson.encode_number_precision(3)
     return cjson.encode({[1] = 1, [1000] = 2, [3] = 1 / 3})",
    "return cjson.encode({1 / 3}) .. tostring(pcall(cjson.encode, {[1] = 1, [1000] = 2}))",
    "local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(tostring(coroutine.running())) end end)
     return co() .. co() .. co()",
    "local s = '' for k, v in pairs(_G) do s = s .. k .. tostring(v) .. ' ' end return s",
    "local s = '' for k, v in pairs(redis) do s = s .. k .. tostring(v) .. ' ' end return s",
    "return string.dump(function() return 1 end):len()",
    "local ok, e = pcall(function() local x = {} .. {} end) return e",
    "local ok, e = pcall(function() return #nil end) return e .. tostring(select(2, pcall(error, {})))",
    "local function f(n) return n == 0 and 0 or 1 + f(n - 1) end local ok, e = pcall(f, 1e6) return tostring(ok) .. e",
    "local n = 0 local function f() n = n + 1 f() end pcall(f) return n",
    "local n = 0 local function f() n = n + 1 pcall(f) end f() return n",
    "local n = 0 local t = setmetatable({}, {__index = function(t, k) n = n + 1 return t[k + 1] end})
     pcall(function() return t[1] end) return n",
    "return {pcall(string.rep, 'x', -1), tostring(string.rep('ab', 3)), ('x'):byte(-10, 1e300)}",
    "local t = redis.call('list', 'a', 'b') t[3] = tostring(t) return t",
    "local s = {} for i = 1, 3000 do s[i] = ('x'):rep(i) end return #table.concat(s)",
    "local t = {} for i = 1, 30000 do t[i] = 'string ' .. i end
     for i = 1, 30000, 2 do t[i] = nil end local n = 0 for _ in pairs(t) do n = n + 1 end return n",
];

/// Scripts that are stopped, each in its own way.
const STOPPED: &[(&str, Stop)] = &[
    ("while true do end", Stop::Work),
    ("while true do pcall(function() while true do end end) end", Stop::Work),
    (
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        Stop::Work,
    ),
    ("local f = function() while true do end end while true do coroutine.wrap(f)() end", Stop::Work),
    ("while true do coroutine.resume(coroutine.create(function() while true do end end)) end", Stop::Work),
    (
        "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) while true do pcall(function() return t.x end) end",
        Stop::Work,
    ),
    ("string.find(string.rep('a', 10000), string.rep('a*', 30) .. 'b')", Stop::Work),
    ("return string.rep('a', 1e6):find(string.rep('a', 5e5) .. 'b', 1, true)", Stop::Work),
    ("local s = string.rep('a', 1e6) while true do s:match('.-b') end", Stop::Work),
    ("while true do string.rep('x', 1e6) end", Stop::Work),
    ("local t = {} for i = 1, 1e5 do t[i] = i end while true do table.sort(t) end", Stop::Work),
    (
        "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.insert(t, 1, 0) table.remove(t, 1) end",
        Stop::Work,
    ),
    ("local t = {} for i = 1, 1e5 do t[i] = 'abc' end while true do table.concat(t) end", Stop::Work),
    (
        "local t = {} for i = 1, 1e5 do t[i] = i end while true do cjson.decode(cjson.encode(t)) end",
        Stop::Work,
    ),
    (
        "local t = {} for i = 1, 1e5 do t[i] = i end while true do cmsgpack.unpack(cmsgpack.pack(t)) end",
        Stop::Work,
    ),
    ("local t = {1} for i = 1, 60 do t = {t, t} end return cjson.encode(t)", Stop::Work),
    ("local t = {1} for i = 1, 60 do t = {t, t} end return t", Stop::Work),
    (
        "local t = {} for i = 1, 1e5 do t[i] = i end for i = 1, 1e5 do t[i] = nil end while true do next(t) end",
        Stop::Work,
    ),
    ("while true do loadstring(string.rep('local x = 1 ', 1000)) end", Stop::Work),
    ("while true do redis.pcall('echo', 'x') end", Stop::Work),
    ("while true do (function(...) end)(unpack({}, 1, 7000)) end", Stop::Work),
    ("local s = string.rep('a', 1e5) while true do s:gsub('a', 'b') end", Stop::Work),
    ("local s = 'x' while true do s = s .. s end", Stop::Memory),
    ("local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end", Stop::Memory),
    ("local t = {} while true do t = {t} end", Stop::Memory),
    ("local t = {} while true do pcall(function() t[#t + 1] = {#t} end) end", Stop::Memory),
    ("string.rep('x', 1e9)", Stop::Memory),
    ("pcall(string.rep, 'x', 1e9) return 1", Stop::Memory),
    ("local t = {} while true do t[#t + 1] = coroutine.create(function() end) end", Stop::Memory),
    ("local t = {} for i = 1, 1e9 do t[i] = i end", Stop::Memory),
    ("local t = {} while true do t[#t + 1] = function() return t end end", Stop::Memory),
];

/// A state in which much has happened.
fn worn(seed: u64) -> Engine {
    let mut engine = Engine::new();
    for (number, script) in HOSTILE.iter().enumerate() {
        if !(number as u64 + seed).is_multiple_of(3) {
            run(&mut engine, script, seed).0.expect("is not stopped");
        }
    }
    run(&mut engine, "local t = {} for i = 1, 30000 do t[i] = 'worn ' .. i end return #t", 1).0.unwrap();
    run(&mut engine, "return (", 1).0.unwrap();
    run(&mut engine, "error('x')", 1).0.unwrap();
    engine
}

#[test]
fn what_ran_before_does_not_show() {
    let (mut first, mut second) = (worn(0), worn(1));
    for script in HOSTILE {
        let fresh = run(&mut Engine::new(), script, 7);
        assert_eq!(run(&mut first, script, 7), fresh, "{script}");
        assert_eq!(run(&mut second, script, 7), fresh, "{script}");
        assert_eq!(run(&mut first, script, 7), fresh, "again: {script}");
        let answer = fresh.0.expect("is not stopped");
        assert!(!answer.contains("0x0x") && !answer.is_empty(), "{script}: {answer}");
    }
}

#[test]
fn a_script_is_stopped_at_the_same_place_everywhere() {
    for (script, why) in STOPPED {
        let steps_max = if *why == Stop::Work { 200_000 } else { 8_000_000 };
        let fresh = run_within(&mut Engine::new(), script, 7, steps_max);
        assert_eq!(fresh.0, Err(*why), "{script}");
        assert_eq!(run_within(&mut worn(0), script, 7, steps_max), fresh, "{script}");
    }
}

#[test]
fn random_numbers_come_from_the_seed() {
    let script = "return tostring(math.random()) .. math.random(1000000)";
    let mut engine = Engine::new();
    let first = run(&mut engine, script, 1 << 40);
    assert_ne!(first, run(&mut engine, script, 2 << 40));
    assert_eq!(first, run(&mut engine, script, 1 << 40));
}

/// What each script answers, and how much it did. Whoever changes what scripts do changes it here too, and
/// with it what copies of different versions would disagree about.
#[test]
fn the_numbers_are_these() {
    let mut engine = Engine::new();
    let mut text = String::new();
    for script in HOSTILE {
        let (answer, steps) = run(&mut engine, script, 7);
        text.push_str(&format!("{steps} {}\n", answer.unwrap_or_else(|_| panic!("{script}")).escape_debug()));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/answers.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap());
}
