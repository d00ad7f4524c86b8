import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { Listeners } from "./listeners.ts";

const open: { destroy(): void }[] = [];
const listeners: Listeners[] = [];

afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  for (const one of listeners.splice(0)) await one.close();
});

function made(onConnection: (socket: Socket) => void): Listeners {
  const one = new Listeners((socket) => {
    open.push(socket);
    onConnection(socket);
  });
  listeners.push(one);
  return one;
}

test("many that come at once are let in within few turns of the event loop", async () => {
  let accepted = 0;
  const one = made(() => {
    accepted += 1;
  });
  await one.listen("127.0.0.1", 0);
  const devices = 96;
  // The kernel completes the connections by itself; letting them in takes turns.
  for (let i = 0; i < devices; i += 1) open.push(connect(one.port, "127.0.0.1"));
  let turns = 0;
  for (; accepted < devices; turns += 1) await turn();
  // One a turn would take as many as there are.
  expect(turns).toBeLessThan(devices * 0.75);
});

test("a port that somebody has is refused, and so is ours to another one like us", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  await expect(made(() => {}).listen("127.0.0.1", port)).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
  other.close();
  await once(other, "close");

  const first = made(() => {});
  await first.listen("127.0.0.1", port);
  expect(first.port).toBe(port);
  await expect(made(() => {}).listen("127.0.0.1", port)).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
});

test("after close nobody is let in", async () => {
  const one = made(() => {});
  await one.listen("127.0.0.1", 0);
  const { port } = one;
  await one.close();
  const late = connect(port, "127.0.0.1");
  open.push(late);
  const [error] = await once(late, "error");
  expect(error).toMatchObject({ code: "ECONNREFUSED" });
});
