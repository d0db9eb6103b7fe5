-- What scripts find: the names that Redis 7.2 gives them, and nothing else. It is executed once, when a state
-- is made. Then nothing that a script can reach can be changed by it, so that none sees what another one did.

local host, log_levels, replication, version, version_number = ...
local _G, error, hosted, pairs, position, rawget, readonly = _G, error, hosted, pairs, position, rawget, readonly
local setfenv, setmetatable, tostring, type, xpcall = setfenv, setmetatable, tostring, type, xpcall

local reset_cjson = cjson.reset
cjson.reset = nil

local redis = { REDIS_VERSION = version, REDIS_VERSION_NUM = version_number }
for _, name in pairs({
  "acl_check_cmd", "breakpoint", "call", "debug", "error_reply", "log", "pcall", "replicate_commands",
  "set_repl", "setresp", "sha1hex", "status_reply",
}) do
  redis[name] = hosted(host, name)
end
for name, level in pairs(log_levels) do redis[name] = level end
for name, flag in pairs(replication) do redis[name] = flag end

-- What a library finds while it is loaded: that, and nothing else, as in Redis.
local loading = {
  REDIS_VERSION = version, REDIS_VERSION_NUM = version_number,
  log = redis.log, register_function = hosted(host, "register_function"),
}
for name, level in pairs(log_levels) do loading[name] = level end

for _, name in pairs({
  "baseline", "begin", "dofile", "getfenv", "hosted", "loadfile", "numeric", "position", "print", "readonly",
  "setfenv",
}) do
  _G[name] = nil
end
_G.redis = redis
_G.os = { clock = hosted(host, "clock") }
_G.KEYS, _G.ARGV = false, false

local function missing(name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 3)
end

-- Functions of libraries do not see the keys and arguments of scripts.
-- `redis` is another one while a library is loaded, which the functions that it defines see later too: so it
-- asks what is going on.
local loading_now = false
local library_globals = setmetatable({}, readonly({
  __index = function(_, name)
    if loading_now then
      if name == "redis" then return loading end
      missing(name)
    end
    local value = rawget(_G, name)
    if value == nil or name == "KEYS" or name == "ARGV" then missing(name) end
    return value
  end,
}))
setmetatable(_G, readonly({ __index = function(_, name) missing(name) end }))
setmetatable(loading, readonly({ __index = function(_, name) missing(name) end }))

for _, library in pairs({
  _G, redis, loading, library_globals, bit, cjson, cmsgpack, coroutine, math, os, string,
  struct, table, getmetatable(""),
}) do
  readonly(library)
end

-- Where an error comes from: the nearest place in a script.
local function handler(err)
  if type(err) ~= "table" then err = { err = "ERR " .. tostring(err) } end
  local level = 2
  local source, line, what = position(level)
  while source and (what == "C" or what == "tail" or source == "@prelude") do
    level = level + 1
    source, line, what = position(level)
  end
  if source then
    err.source, err.line = source, line
  end
  return err
end

local function globals(keys, args)
  readonly(_G, false)
  _G.KEYS, _G.ARGV = keys, args
  readonly(_G)
end

local run = {}

function run.script(script, keys, args)
  globals(keys, args)
  return xpcall(script, handler)
end

function run.over()
  globals(false, false)
  loading_now = false
  reset_cjson()
end

function run.load(library)
  setfenv(library, library_globals)
  loading_now = true
  local ok, err = xpcall(library, handler)
  loading_now = false
  return ok, err
end

function run.fcall(body, keys, args)
  return xpcall(function() return body(keys, args) end, handler)
end

return run
