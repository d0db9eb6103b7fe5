// What the programs here do to a cluster of which they know the ports: who leads, who stays, and kill -9.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";

async function look(port) {
  const client = new Redis({ host: "127.0.0.1", port });
  const text = await client.info();
  client.disconnect();
  const field = (name) => text.match(new RegExp(`^${name}:(.*?)\r?$`, "m"))[1];
  return { port, pid: Number(field("process_id")), leads: field("onecopy_node") === field("onecopy_primary") };
}

/** The ports of the nodes that will stay, and what kills the primary's process. */
export async function lookAround(ports) {
  const nodes = await Promise.all(ports.map(look));
  const primary = nodes.find((node) => node.leads);
  const stay = nodes.filter((node) => node !== primary).map((node) => node.port);
  assert.equal(stay.length, ports.length - 1);
  return { stay, primary: primary.port, kill: () => process.kill(primary.pid, "SIGKILL") };
}

/** The version of a package as it was installed. */
export function version(name) {
  return JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url))).version;
}
