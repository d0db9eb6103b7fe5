// Redlock, unchanged, while the primary is killed: locks.mjs PORT PORT PORT
//
// Redlock wants independent masters, and the nodes of a cluster are one copy: it is given one address. Workers
// at the nodes that stay read a number and write the next one, under a lock. No two may be inside at once.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { Redlock } from "@sesamecare-oss/redlock";
import { lookAround, version } from "./nodes.mjs";

const { stay, kill } = await lookAround(process.argv.slice(2).map(Number));
const ROUNDS = 40;
const connect = (at) => new Redis({ host: "127.0.0.1", port: stay[at % stay.length] });
const reader = connect(0);
await reader.set("number", 0);

let inside = 0;
let done = 0;
const killing = async () => {
  while (done < ROUNDS) await sleep(5);
  kill();
};
const working = Array.from({ length: 4 }, async (_, at) => {
  const client = connect(at);
  const redlock = new Redlock([client], { retryCount: -1, retryDelay: 10, retryJitter: 10 });
  for (let round = 0; round < ROUNDS; round += 1) {
    // Longer than a failover: what a lock that has lapsed may do is no question of the store.
    const lock = await redlock.acquire(["lock"], 20_000);
    inside += 1;
    assert.equal(inside, 1, "two are inside");
    const number = Number(await client.get("number"));
    if (round % 10 === 0) await lock.extend(20_000);
    await client.set("number", number + 1);
    inside -= 1;
    await lock.release();
    done += 1;
  }
  client.disconnect();
});
await Promise.all([killing(), ...working]);
assert.equal(Number(await reader.get("number")), 4 * ROUNDS);
assert.equal(await reader.exists("lock"), 0);

// Who holds it keeps everybody else out, whichever node they ask; it ends with its time.
const [one, other] = [connect(0), connect(1)];
const impatient = new Redlock([other], { retryCount: 0 });
const lock = await new Redlock([one]).acquire(["lock"], 500);
await assert.rejects(impatient.acquire(["lock"], 500));
await assert.rejects(impatient.release({ ...lock, resources: lock.resources, value: "another" }));
while (await one.exists("lock")) await sleep(20);
await (await impatient.acquire(["lock"], 500)).release();
// Nodes of one cluster are no independent masters: it finds the lock that it has taken itself.
await assert.rejects(new Redlock([one, other, connect(1)], { retryCount: 0 }).acquire(["lock"], 500));
const called = `Redlock ${version("@sesamecare-oss/redlock")}`;
console.log(`${called}: ${4 * ROUNDS} rounds under a lock, the primary killed: none inside with another`);
process.exit(0);
