-- One script for each line; `\n` is a new line in it.
error("x")
error({err="y"})
error({err="MY msg"})
error(nil)
error()
error("x",0)
error(12)
return redis.call("foo")
return redis.call("set","a")
return redis.call()
return redis.pcall()
return redis.call({})
return redis.call("get","a",true)
local x=nil; return x.y
a=1
return zzz
return {err="hello"}
return {err="MY hello"}
return redis.error_reply("hello")
return redis.error_reply("-MY hello")
return redis.error_reply("MY hello")
return redis.status_reply("hello")
return {ok="fine"}
return redis.error_reply()
return redis.error_reply(1)
return redis.sha1hex("")
return redis.sha1hex()
return redis.sha1hex(1)
return redis.log(1)
return redis.log(redis.LOG_NOTICE,"a","b")
return redis.log(9,"a")
return redis.setresp(1)
return redis.setresp(3)
return redis.setresp()
return redis.replicate_commands()
return redis.set_repl(redis.REPL_ALL)
return redis.set_repl(9)
return redis.breakpoint()
return redis.debug("x")
return redis.acl_check_cmd("get","a")
return redis.acl_check_cmd()
return redis.acl_check_cmd("set")
return 3.99
return -3.99
return "a\r\nb"
return {1,2,nil,4}
return {1,{2,3.5},"x",true,false}
return true
return false
return nil
return {double=3.5}
return {map={a=1}}
return {set={a=true}}
return {big_number="123"}
return {verbatim_string={format="txt",string="hi"}}
return function() end
return cjson.null
return redis.pcall("foo")
local e=redis.pcall("foo"); return e.err
local ok,e=pcall(redis.call,"foo"); return {type(e),tostring(e.err),tostring(e.source),tostring(e.line),tostring(e.ignore_error_stats_update)}
local ok,e=pcall(error,"x"); return {type(e),e}
local ok,e=pcall(function() local x=nil; return x.y end); return {type(e),e}
return redis.call("subscribe","a")
return redis.call("multi")
return redis.call("select",1)
return redis.call("auth","x")
return redis.call("eval","return 1",0)
return redis.call("script","load","return 1")
return redis.call("config","get","save")
return redis.call("client","id")
return redis.call("ping")
return redis.call("echo","x")
return redis.call("wait",0,0)
return redis.call("hello")
return redis.call("function","list")
return redis.call("fcall","a",0)
return redis.call("exec")
return redis.call("watch","a")
return redis.call("debug","sleep",0)
redis.x=1
redis.call=1
string.x=1
getmetatable("").__index=1
_G.x=1
setmetatable(_G,{})
rawset(_G,"x",1)
return rawget(_G,"x")
return pcall(function() return zzz end)
local f=loadstring("return 1") return f()
return loadstring("x x")
return {pcall(loadstring("error('in')"))}
return syntax error here
return _VERSION
return {tostring(1e15),tostring(1e14),tostring(0.1),tostring(1/3),tostring(1/0),tostring(-1/0)}
return redis.call("set","n",1.5) and redis.call("get","n")
return redis.call("incrbyfloat","f",1.5)
return redis.call("hset","h","a",1,"b",2)
return redis.call("hgetall","h")
return redis.call("zadd","z",1.5,"a")
return redis.call("zscore","z","a")
return {redis.call("zscore","z","nope")}
redis.setresp(3); return redis.call("zscore","z","a")
redis.setresp(3); return redis.call("zscore","z","nope")
redis.setresp(3); return redis.call("zrange","z",0,-1,"withscores")
redis.setresp(3); local r=redis.call("hgetall","h"); return {type(r.map), r.map.a}
redis.setresp(3); local r=redis.call("zscore","z","a"); return {type(r.double), tostring(r.double)}
redis.setresp(3); return type(redis.call("get","nokey"))
return type(redis.call("get","nokey"))
redis.setresp(3); redis.call("sadd","s","m"); local r=redis.call("smembers","s"); return {type(r.set), tostring(r.set.m)}
redis.setresp(3); return redis.call("smembers","s")
return table.getn({1,2})
return redis.pcall("set","a")
return {redis.pcall("set","a"), 1}
return redis.call("set","k","v")
return {1,redis.error_reply("x")}
return {ok="a\r\nb"}
return {err="a\r\nb"}
return tostring(redis.call("set","k","v").ok)
return {KEYS[1],ARGV[1],#KEYS}
KEYS=1 return 1
KEYS[5]=1 return KEYS[5]
return print
return getfenv
return redis.REPL_ALL
return bit.tohex(255)
return struct.pack(">I4",1)
return 1,2,3
return xpcall(function() error("q") end, function(e) return e end)
local t={} t[1]=t return 1
return string.rep("x",10):upper()
return redis.call("INCR","s")
error("multi\nline")
return redis.call("set","a","b","c")
return redis.call("get",1)
return redis.call("get",nil)
return {KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2] + 1, #ARGV}
return redis.call("set", KEYS[1], ARGV[1])
return redis.call("get", KEYS[1])
return redis.call("mget", KEYS[1], KEYS[2], "nope")
return redis.call("incrby", "counter", ARGV[2])
local r = {} for i = 1, 5 do r[i] = redis.call("rpush", "list", i) end return r
return redis.call("lrange", "list", 0, -1)
return redis.call("lpop", "list", 2)
return redis.call("rpoplpush", "list", "list2")
return redis.call("zrange", "z", 0, -1, "withscores")
return redis.call("hmget", "h", "a", "nope")
return redis.call("type", "h")
return redis.call("type", "h").ok
return redis.call("exists", "h", "nope")
return redis.call("del", "nope")
return redis.call("expire", "h", 1000)
return redis.call("set", "new", "v", "NX")
return redis.call("set", "new", "v", "NX")
return type(redis.call("set", "new", "v", "NX"))
return redis.call("xadd", "x", "1-1", "f", "v")
return redis.call("xrange", "x", "-", "+")
return redis.pcall("incr", "h").err
local ok, e = pcall(redis.call, "incr", "h") return e
local r = redis.pcall("incr", "h") return r
if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end
return cjson.decode('{"a":[1,2,{"b":null}],"c":"x","d":1.5,"e":true}').a[2]
return cjson.decode('[1,2,3]')
return cjson.encode({1, 2, 3})
return cjson.encode({a = 1})
return cjson.encode({})
return cjson.encode(cjson.null)
return cjson.encode("a\"b\\c\td")
return cjson.encode(1.5)
return cjson.encode(1e20)
return pcall(cjson.decode, '{bad')
return {pcall(cjson.decode, '{bad')}
return {pcall(cjson.encode, {[1] = 1, [100] = 2})}
return {pcall(cjson.encode, function() end)}
return cjson.decode("null") == cjson.null
return cmsgpack.unpack(cmsgpack.pack({1, 2, "x", true}))
return cmsgpack.pack({a = 1})
return {cmsgpack.unpack(cmsgpack.pack(1, 2, 3))}
return cmsgpack.pack(1.5)
return {pcall(cmsgpack.unpack, "\193")}
return struct.unpack("<i4", struct.pack("<i4", 77))
return struct.pack(">i2s", 1, "abc")
return struct.size("<i4i2")
return {pcall(struct.pack, "z", 1)}
return {bit.band(12, 10), bit.bor(12, 10), bit.bxor(12, 10), bit.lshift(1, 4), bit.bnot(0), bit.tobit(2^32)}
return table.concat({1, 2, 3}, "-")
return {pcall(table.concat, {1, {}, 3})}
return string.format("%5.2f|%d|%s|%q|%x", 3.14159, 42, "s", "q", 255)
return {string.find("hello world", "o w")}
return {("key=value"):match("(%w+)=(%w+)")}
return ("abc"):gsub("%w", "%0%0")
return {("abc"):gsub("%w", {a = "1", b = true})}
return {("hello"):byte(1, -1)}
return ("x"):rep(3)
return {math.floor(3.7), math.ceil(3.2), math.max(1, 5, 3), math.min(2, 0), math.fmod(7, 3)}
return tostring(math.huge)
return tostring(math.pi)
return {tostring(nil), tostring(true), tostring(12), tostring("s")}
return {tonumber("12"), tonumber("0x10"), tonumber("z", 36), tonumber("1e3")}
return type(tonumber("abc"))
return select(2, "a", "b", "c")
return {unpack({1, 2, 3})}
local t = {5, 2, 8, 1} table.sort(t) return t
local t = {5, 2, 8, 1} table.sort(t, function(a, b) return a > b end) return t
local t = {} table.insert(t, "a") table.insert(t, 1, "b") return t
local t = {1, 2, 3} return table.remove(t)
return #"hello"
return "a" .. 1 .. 2.5
return 10 / 4
return 7 % 3
return 2 ^ 10
return "10" + 5
return 1 == 1.0
return not nil
local s = 0 for i = 1, 10 do s = s + i end return s
local s = 0 for _, v in ipairs({1, 2, nil, 4}) do s = s + v end return s
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(15)
local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end) local _, x = coroutine.resume(co, 1) local _, y = coroutine.resume(co, 10) return {x, y, coroutine.status(co)}
return {pcall(coroutine.resume, nil)}
return {coroutine.resume(coroutine.create(function() error("in coroutine") end))}
return setmetatable({1, 2, 3}, {__index = {4}})
return getmetatable("").__index == string
return {pcall(setmetatable, 1, {})}
return rawequal("a", "a")
return rawget({5}, 1)
return next({})
return type(next)
local a <const> = 1 return a
return 0x10
return 1e400
return -1e400
return 9007199254740993
return 2^53
return 2^63
return {1.9, -1.9, 1e10}
return {{}, {{}}, {1, {2, {3}}}}
return {ok = 1}
return {err = 1}
return {ok = "a", err = "b"}
return {double = "x"}
return {map = 1}
return {1, 2, x = 3}
return {[0] = 1, [1] = 2, [3] = 4}
#!lua\nreturn 1
#!lua flags=no-writes\nreturn redis.call("set", "a", "b")
#!lua flags=foo\nreturn 1
#!luaa\nreturn 1
#!lua name=x\nreturn 1
#!lua x=1\nreturn 1
#!lua\n\nerror("x")
#!lua flags=no-writes,allow-stale,allow-oom,allow-cross-slot-keys,no-cluster\nreturn 1
#!lua flags=\nreturn 1
#!lua
#!\nreturn 1
#!lua flags=no-writes flags=allow-oom\nreturn 1
local x =\n\n nil\n return x.y
\n\nreturn redis.call("foo")
local function f() error("deep") end\nlocal function g() f() end\ng()
local function f() return redis.call("foo") end\nlocal x = f()\nreturn x
redis.setresp(3) return true
redis.setresp(3) return {true, false}
redis.setresp(3) return redis.call("hgetall", "nope")
redis.setresp(3) return redis.call("set", "nx", "1", "NX", "GET")
redis.setresp(3) redis.setresp(2) return redis.call("hgetall", "h")
