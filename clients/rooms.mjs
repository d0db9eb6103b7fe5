// Socket.IO with its adapters, unchanged, while the primary is killed: rooms.mjs PORT PORT PORT
//
// Two servers, each at a node that stays, and clients at both. One server speaks to a room, in numbers; half
// way the primary's process is killed with kill -9. Every client in the room must hear every number, in order,
// once; nobody else hears any. Each adapter promises what its channel does: Redis' channels forget what nobody
// could be told, the streams do not.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { lookAround, version } from "./nodes.mjs";

const { stay, kill } = await lookAround(process.argv.slice(2).map(Number));
const MESSAGES = 200;

async function nodeRedis(port) {
  const client = createClient({ socket: { port } });
  client.on("error", () => {});
  return client.connect();
}
const ADAPTERS = {
  "channels, ioredis": async (port) => createAdapter(new Redis({ port }), new Redis({ port }), { key: "one" }),
  "channels, node-redis": async (port) => createAdapter(await nodeRedis(port), await nodeRedis(port), { key: "two" }),
  "sharded channels, node-redis": async (port) =>
    createShardedAdapter(await nodeRedis(port), await nodeRedis(port), { channelPrefix: "three" }),
  "streams, ioredis": async (port) => createStreamsAdapter(new Redis({ port }), { streamName: "four" }),
};

async function serve(adapter, port) {
  const http = createServer();
  const server = new Server(http, { adapter: await adapter(port), transports: ["websocket"] });
  server.on("connection", (socket) => socket.on("enter", (room, done) => done(socket.join(room))));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return { server, url: `http://127.0.0.1:${http.address().port}` };
}

async function visit(url, room) {
  const socket = io(url, { transports: ["websocket"], forceNew: true });
  const heard = [];
  socket.on("number", (number) => heard.push(number));
  socket.on("question", (answer) => answer(room));
  await once(socket, "connect");
  await socket.emitWithAck("enter", room);
  return { socket, heard };
}

const rooms = await Promise.all(
  Object.values(ADAPTERS).map(async (adapter) => {
    const servers = await Promise.all(stay.map((port) => serve(adapter, port)));
    const inside = await Promise.all([0, 1, 0, 1].map((at) => visit(servers[at].url, "inside")));
    const outside = await Promise.all([0, 1].map((at) => visit(servers[at].url, "outside")));
    return { servers, inside, outside };
  }),
);
// An adapter says nothing when it has subscribed: it is there when all servers count all clients.
for (const { servers } of rooms) {
  while ((await servers[0].server.fetchSockets().catch(() => [])).length < 6) await sleep(20);
  while ((await servers[1].server.fetchSockets().catch(() => [])).length < 6) await sleep(20);
}
for (let number = 0; number < MESSAGES; number += 1) {
  for (const { servers } of rooms) servers[0].server.to("inside").emit("number", number);
  if (number === MESSAGES / 2) kill();
  await sleep(5);
}
const numbers = Array.from({ length: MESSAGES }, (_, number) => number);
const deadline = Date.now() + 30_000;
for (const [at, name] of Object.keys(ADAPTERS).entries()) {
  const { servers, inside, outside } = rooms[at];
  while (inside.some(({ heard }) => heard.length < MESSAGES)) {
    assert(Date.now() < deadline, `${name}: ${inside.map(({ heard }) => heard.length)} of ${MESSAGES} were heard`);
    await sleep(20);
  }
  for (const { heard } of inside) assert.deepEqual(heard, numbers, name);
  for (const { heard } of outside) assert.deepEqual(heard, [], name);
  // Questions to the other server and its clients, after the failover.
  const answers = await servers[1].server.timeout(10_000).to("outside").emitWithAck("question");
  assert.deepEqual(answers, ["outside", "outside"], name);
  await servers[0].server.in("outside").socketsJoin("inside");
  while ((await servers[1].server.in("inside").fetchSockets()).length < 6) await sleep(20);
}
console.log(
  `Socket.IO ${version("socket.io")}, adapters ${version("@socket.io/redis-adapter")} and ` +
    `${version("@socket.io/redis-streams-adapter")} (${Object.keys(ADAPTERS).join("; ")}): ` +
    `${MESSAGES} messages to a room, the primary killed half way: all heard once, in order`,
);
process.exit(0);
