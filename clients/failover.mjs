// ioredis and node-redis through a failover, as clients of Redis Cluster or of Sentinel:
// failover.mjs ioredis|node-redis cluster|sentinel PORT PORT PORT
//
// Counters in several slots count up. In the middle the primary's process is killed with kill -9. At the end
// each counter must hold what was acknowledged. The cluster client of node-redis looks for another primary only
// when a node sends it away, never when one is gone: whoever uses it connects anew then, and so does this.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, Redis } from "ioredis";
import { createClient, createCluster, createSentinel } from "redis";

const [library, kind, ...rest] = process.argv.slice(2);
const ports = rest.map(Number);
const nodes = ports.map((port) => ({ host: "127.0.0.1", port }));
const packageName = library === "ioredis" ? "ioredis" : "redis";
const version = JSON.parse(readFileSync(new URL(`./node_modules/${packageName}/package.json`, import.meta.url))).version;
const KEYS = Array.from({ length: 8 }, (_, number) => `counter:${number}`);
const MILLISECONDS = 4_000;

async function connect() {
  let client;
  if (library === "ioredis") {
    client = kind === "cluster" ? new Cluster(nodes) : new Redis({ sentinels: nodes, name: "mymaster" });
    client.on("error", () => {});
    return { client, end: () => client.disconnect() };
  }
  client =
    kind === "cluster"
      ? createCluster({
          rootNodes: nodes.map(({ port }) => ({ url: `redis://127.0.0.1:${port}` })),
          defaults: { socket: { reconnectStrategy: false } },
        })
      : createSentinel({ name: "mymaster", sentinelRootNodes: nodes, masterPoolSize: 4 });
  client.on("error", () => {});
  await client.connect();
  return { client, end: () => client.destroy() };
}

// Where the primary takes clients, as the nodes that live say it.
async function primary() {
  for (const { host, port } of nodes) {
    const asked = new Redis({ host, port, lazyConnect: true, retryStrategy: null });
    asked.on("error", () => {});
    try {
      await asked.connect();
      if (kind === "sentinel") return Number((await asked.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"))[1]);
      return (await asked.call("CLUSTER", "SLOTS"))[0][2][1];
    } catch {
      continue;
    } finally {
      asked.disconnect();
    }
  }
  throw new Error("nobody answers");
}

async function pidAt(port) {
  const asked = new Redis({ host: "127.0.0.1", port });
  const pid = Number((await asked.info("server")).match(/^process_id:(\d+)/m)[1]);
  asked.disconnect();
  return pid;
}

let connection = await connect();
let renewing;
async function renew() {
  if (library !== "node-redis" || kind !== "cluster") return;
  renewing ??= (async () => {
    const old = connection;
    connection = await connect();
    old.end();
  })()
    .catch(() => {})
    .finally(() => {
      renewing = undefined;
    });
  await renewing;
}

// What a command is answered; nothing for two seconds is no answer.
async function run(name, ...args) {
  const timeout = sleep(2_000, undefined, { ref: false }).then(() => {
    throw new Error("no answer");
  });
  return Promise.race([connection.client[name](...args), timeout]);
}

for (const key of KEYS) await run("del", key);
await run("set", "before", "kept");
const before = await primary();
const pid = await pidAt(before);

let killed = false;
const counts = KEYS.map(() => ({ acknowledged: 0, errors: 0, afterKill: 0 }));
const until = Date.now() + MILLISECONDS;
const counting = KEYS.map(async (key, at) => {
  while (Date.now() < until) {
    try {
      await run("incr", key);
      counts[at].acknowledged += 1;
      if (killed) counts[at].afterKill += 1;
    } catch {
      counts[at].errors += 1;
      await sleep(20);
      await renew();
    }
  }
});
await sleep(MILLISECONDS / 4);
process.kill(pid, "SIGKILL");
killed = true;
await Promise.all(counting);

assert.notEqual(await primary(), before);
assert.equal(await run("get", "before"), "kept");
for (const [at, key] of KEYS.entries()) {
  const held = Number(await run("get", key));
  assert(held >= counts[at].acknowledged, `${key}: ${held}, and ${counts[at].acknowledged} were acknowledged`);
  assert(counts[at].afterKill > 0, `${key}: nothing was acknowledged after the failover`);
}
await run("set", "after", "written");
assert.equal(await run("get", "after"), "written");
const sum = (field) => counts.reduce((total, count) => total + count[field], 0);
console.log(
  `${library} ${version}, ${kind}: ${sum("acknowledged")} increments acknowledged, all there; ${sum("errors")} errors`,
);
connection.end();
process.exit(0);
