// BullMQ, unchanged, while the primary is killed: jobs-bullmq.mjs PORT PORT PORT
//
// The queue and its workers are at the nodes that stay; half way the primary's process is killed with kill
// -9. Every job must be completed. BullMQ promises at least once: how many were done twice is printed.
import assert from "node:assert";
import { FlowProducer, Queue, QueueEvents, Worker } from "bullmq";
import { lookAround } from "./nodes.mjs";

const ports = process.argv.slice(2).map(Number);
const JOBS = 600;

const { stay, kill } = await lookAround(ports);

const connection = (at) => ({ host: "127.0.0.1", port: stay[at % stay.length], maxRetriesPerRequest: null });
const queue = new Queue("jobs", { connection: connection(0) });
const runs = new Map();
const workers = stay.map((_, at) => {
  const work = async (job) => {
    runs.set(job.id, (runs.get(job.id) ?? 0) + 1);
    if (job.data.fails && job.attemptsMade < 1) throw new Error("as it should, once");
    return job.data.number * 2;
  };
  const worker = new Worker("jobs", work, { connection: connection(at), concurrency: 10 });
  worker.on("error", () => {});
  return worker;
});
const events = new QueueEvents("jobs", { connection: connection(1) });
events.on("error", () => {});
await events.waitUntilReady();

const added = [];
for (let number = 0; number < JOBS; number += 1) {
  const options = {
    attempts: 3,
    backoff: { type: "fixed", delay: 50 },
    priority: number % 3,
    delay: number % 10 === 0 ? 100 : 0,
  };
  added.push(await queue.add("job", { number, fails: number % 50 === 7 }, options));
  if (number === JOBS / 2) kill();
}
const flow = new FlowProducer({ connection: connection(0) });
const child = (number) => ({ name: "child", queueName: "jobs", data: { number } });
const tree = await flow.add({ name: "parent", queueName: "jobs", data: { number: 1 }, children: [child(2), child(3)] });

const deadline = Date.now() + 90_000;
while ((await queue.getCompletedCount()) < JOBS + 3) {
  assert(Date.now() < deadline, `not all are done: ${JSON.stringify(await queue.getJobCounts())}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
}
for (const job of added) {
  const done = await queue.getJob(job.id);
  assert.equal(done.returnvalue, job.data.number * 2);
}
assert.deepEqual(Object.values(await tree.job.getChildrenValues()).sort(), [4, 6]);
// One run for each, and one more for those that fail once.
const twice = [...runs].filter(([id, count]) => count > 1 + (added.find((job) => job.id === id)?.data.fails ? 1 : 0));
console.log(`BullMQ: ${JOBS + 3} jobs, the primary killed half way: all done, ${twice.length} of them twice`);
await Promise.all([...workers, events, flow, queue].map((part) => part.close()));
process.exit(0);
