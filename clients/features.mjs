// What ioredis and node-redis do beyond single commands, while the primary is killed: features.mjs PORT PORT PORT
//
// Commands that wait, channels, scripts under names, transactions with WATCH, streams with groups, node-redis' pool
// and its cache, ioredis' automatic pipelines and prefixes: at the nodes that stay, before, during and after
// kill -9 of the primary's process. Nothing there may fail, be lost or come twice.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createClient, createClientPool, defineScript, WatchError } from "redis";
import { lookAround, version } from "./nodes.mjs";

const { stay, kill } = await lookAround(process.argv.slice(2).map(Number));
const ROUNDS = 60;
const SCRIPT = "return redis.call('INCRBY', KEYS[1], ARGV[1])";

const plus = defineScript({
  SCRIPT,
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, key, by) {
    parser.pushKey(key);
    parser.push(String(by));
  },
  transformReply: (reply) => reply,
});
const options = (at) => ({ socket: { port: stay[at] }, RESP: 3, scripts: { plus } });
const one = await createClient(options(0)).connect();
const other = await createClient(options(1)).connect();
const listener = await createClient(options(1)).connect();
const waiter = await createClient(options(1)).connect();
const pool = await createClientPool(options(0), { minimum: 2, maximum: 4 }).connect();
const cached = await createClient({ ...options(1), clientSideCache: { ttl: 0, maxEntries: 100, evictPolicy: "LRU" } }).connect();
const [io, ioOther] = [0, 1].map(
  (at) => new Redis({ port: stay[at], enableAutoPipelining: true, keyPrefix: "io:", maxRetriesPerRequest: 0 }),
);
const ioListener = new Redis({ port: stay[1] });
io.defineCommand("plus", { numberOfKeys: 1, lua: SCRIPT });

const heard = { channel: [], pattern: [], shard: [], ioredis: [] };
await listener.subscribe("news", (message) => heard.channel.push(Number(message)));
await listener.pSubscribe("new?", (message) => heard.pattern.push(Number(message)));
await listener.sSubscribe("shard", (message) => heard.shard.push(Number(message)));
await ioListener.psubscribe("new*");
ioListener.on("pmessage", (pattern, channel, message) => heard.ioredis.push(Number(message)));
await one.xGroupCreate("stream", "readers", "0", { MKSTREAM: true });

// Each is a place that waits for what the rounds hand in.
const taken = [];
const taking = (async () => {
  while (taken.length < ROUNDS) {
    const found = await waiter.blPop(["nothing", "queue"], 20);
    assert.equal(found?.key, "queue");
    taken.push(Number(found.element));
  }
})();
const streamed = [];
const streaming = (async () => {
  const reader = await createClient(options(1)).connect();
  while (streamed.length < ROUNDS) {
    const found = await reader.xReadGroup("readers", "me", { key: "stream", id: ">" }, { COUNT: 3, BLOCK: 20_000 });
    for (const { id, message } of found.stream ?? found[0].messages) {
      streamed.push(Number(message.number));
      assert.equal(await reader.xAck("stream", "readers", id), 1);
    }
  }
  reader.destroy();
})();

async function round(number) {
  assert.equal(await one.plus("sum", 1), number + 1);
  assert.equal(await io.plus("sum", 1), number + 1);
  await one.publish("news", String(number));
  await one.sPublish("shard", String(number));
  await one.rPush("queue", String(number));
  await one.xAdd("stream", "*", { number: String(number) });
  // Automatic pipelines: many at once, answered in order.
  const numbers = Array.from({ length: 50 }, (_, at) => at);
  await Promise.all(numbers.map((at) => io.set(`key:${at}`, number + at)));
  assert.deepEqual(
    (await Promise.all(numbers.map((at) => ioOther.get(`key:${at}`)))).map(Number),
    numbers.map((at) => number + at),
  );
  // A cache of the client, through another node.
  await one.set("seen", String(number));
  while ((await cached.get("seen")) !== String(number)) await sleep(1);
  // A transaction that somebody is ahead of.
  const lost = pool.execute(async (client) => {
    await client.watch("watched");
    await other.set("watched", String(number));
    return client.multi().set("watched", "lost").exec();
  });
  await assert.rejects(lost, WatchError);
  assert.deepEqual(await pool.multi().get("watched").incr("rounds").execTyped(), [String(number), number + 1]);
}

for (let number = 0; number < ROUNDS; number += 1) {
  await round(number);
  if (number === ROUNDS / 2) kill();
}
await Promise.all([taking, streaming]);
const numbers = Array.from({ length: ROUNDS }, (_, number) => number);
const deadline = Date.now() + 20_000;
while (Object.values(heard).some((list) => list.length < ROUNDS) && Date.now() < deadline) await sleep(10);
for (const [kind, list] of Object.entries({ ...heard, taken, streamed })) assert.deepEqual(list, numbers, kind);
assert.equal((await one.xPending("stream", "readers")).pending, 0);
console.log(
  `node-redis ${version("redis")} and ioredis ${version("ioredis")}: queues, streams, channels, scripts, watches, ` +
    `caches, ${ROUNDS} rounds, the primary killed half way: nothing failed, lost or twice`,
);
process.exit(0);
