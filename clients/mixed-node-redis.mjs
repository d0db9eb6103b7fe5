// A mixed run of commands with node-redis: mixed-node-redis.mjs PORT PROTOCOL PORT_OF_ANOTHER_NODE
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createClient } from "redis";

const version = JSON.parse(readFileSync(new URL("./node_modules/redis/package.json", import.meta.url))).version;
const [port, protocol, elsewhere] = process.argv.slice(2).map(Number);
const r = createClient({ socket: { port }, RESP: protocol, name: "mixed-node-redis" });
await r.connect();

assert.equal(await r.ping(), "PONG");
assert.equal(await r.clientGetName(), "mixed-node-redis");
await r.flushAll();
assert.equal(await r.set("s", "one", { expiration: { type: "PX", value: 100_000 } }), "OK");
assert.equal(await r.set("s", "two", { condition: "NX" }), null);
assert.equal(await r.get("s"), "one");
assert.equal(await r.mSet({ a: "1", b: "2" }), "OK");
assert.deepEqual(await r.mGet(["a", "b", "missing"]), ["1", "2", null]);
assert.equal(await r.incrBy("n", 7), 7);
assert.equal(await r.append("s", "!"), 4);
assert.equal(await r.hSet("h", { f: "1", g: "2" }), 2);
assert.deepEqual({ ...(await r.hGetAll("h")) }, { f: "1", g: "2" });
assert.equal(await r.lPush("l", ["a", "b"]), 2);
assert.deepEqual(await r.lRange("l", 0, -1), ["b", "a"]);
assert.equal(await r.sAdd("t", ["x", "y"]), 2);
assert.deepEqual(new Set(await r.sMembers("t")), new Set(["x", "y"]));
assert.equal(await r.zAdd("z", [{ score: 1, value: "one" }, { score: 2.5, value: "two" }]), 2);
assert.deepEqual(await r.zRangeWithScores("z", 0, -1), [
  { value: "one", score: 1 },
  { value: "two", score: 2.5 },
]);
assert.equal(await r.zScore("z", "two"), 2.5);
await assert.rejects(r.lPush("s", "x"), /WRONGTYPE/);
const replies = await Promise.all(Array.from({ length: 500 }, (_, i) => r.set(`p${i}`, `${i}`)));
assert.ok(replies.every((reply) => reply === "OK"));
let found = 0;
for await (const keys of r.scanIterator({ MATCH: "p*", COUNT: 50 })) found += keys.length;
assert.equal(found, 500);
assert.equal(await r.expire("n", 100), 1);
assert.ok((await r.ttl("n")) > 98);
assert.equal(await r.type("z"), "zset");
// A transaction.
assert.deepEqual(await r.multi().set("multi", "1").incr("multi").get("multi").exec(), ["OK", 2, "2"]);
// A command under a token counts once, whichever nodes it is sent through.
const token = randomUUID();
assert.equal(await r.sendCommand(["ONCE", token, "INCR", "visits"]), 1);
const another = createClient({ socket: { port: elsewhere }, RESP: protocol });
await another.connect();
assert.equal(await another.sendCommand(["ONCE", token, "INCR", "visits"]), 1);
assert.equal(await another.get("visits"), "1");
await assert.rejects(another.sendCommand(["ONCE", token, "DECR", "visits"]), /the token was used before/);
another.destroy();
assert.equal(await r.flushAll(), "OK");
assert.equal(await r.dbSize(), 0);
r.destroy();
console.log(`node-redis ${version} RESP${protocol}: fine`);
