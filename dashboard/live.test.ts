import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { deviceKey } from "../events/ids.ts";
import { FakeReadModel } from "./test-support/fake-read-model.ts";
import { createDashboardServer, type DashboardServer } from "./test-support/server.ts";

let model: FakeReadModel;
let server: DashboardServer;
const open: AbortController[] = [];

async function start(
  more: { heartbeatMs?: number; maxLiveClients?: number; liveStallTimeoutMs?: number } = {},
) {
  model = new FakeReadModel();
  server = createDashboardServer({
    readModel: model,
    port: 0,
    heartbeatMs: 60,
    frameMs: 20,
    ...more,
  });
  await server.start();
}
beforeEach(() => start());
afterEach(async () => {
  for (const controller of open.splice(0)) controller.abort();
  await server.stop();
});

interface Event {
  readonly event: string;
  readonly id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: JSON from the wire, looked at by expectations
  readonly data: any;
}

/** Events of a stream, parsed as the standard says, one at a time. */
async function listen(query = "", headers: Record<string, string> = {}) {
  const controller = new AbortController();
  open.push(controller);
  const url = `${server.address?.url}api/v1/live${query}`;
  const response = await fetch(url, { headers, signal: controller.signal });
  const waiting: Event[] = [];
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  async function next(): Promise<Event> {
    for (;;) {
      const found = waiting.shift();
      if (found) return found;
      const chunk = await reader?.read();
      if (!chunk || chunk.done) throw new Error("the stream ended");
      text += chunk.value;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const fields = new Map(
          block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]),
        );
        waiting.push({
          event: fields.get("event") ?? "message",
          id: fields.get("id"),
          data: JSON.parse(fields.get("data") ?? "null"),
        });
      }
    }
  }
  /** The next event of that name; heartbeats come in between. */
  async function until(event: string): Promise<Event> {
    for (;;) {
      const found = await next();
      if (found.event === event) return found;
    }
  }
  return { response, next, until, close: () => controller.abort() };
}

test("a change is pushed, with the clock of the server", async () => {
  const stream = await listen();
  expect(stream.response.headers.get("content-type")).toMatch("text/event-stream");
  expect(stream.response.headers.get("content-security-policy")).toMatch("default-src 'self'");
  expect((await stream.next()).event).toBe("hello");
  model.addReading("g", "a", 5, { t: 1 });
  const { data, id } = await stream.until("changes");
  expect(id).toMatch(/^[0-9a-f]+\.1$/);
  expect(Math.abs(data.time - Date.now())).toBeLessThan(5000);
  expect(data.changes).toEqual([
    { kind: "device", device: expect.objectContaining({ device: "a", readings: 1 }) },
  ]);
});

test("a quiet server is heard all the same", async () => {
  const stream = await listen();
  await stream.until("beat");
  await stream.until("beat");
});

test("a log that is away is told at once, between two heartbeats, and that it is back", async () => {
  await server.stop();
  await start({ heartbeatMs: 60_000 });
  const stream = await listen();
  expect((await stream.next()).data.source).toEqual({ state: "following" });
  model.log = { state: "waiting", since: 17, lastError: "connection refused" };
  const away = await stream.next();
  expect([away.event, away.data.source]).toEqual(["beat", model.log]);
  model.addReading("g", "a", 5, { t: 1 });
  expect((await stream.next()).data.source.state).toBe("waiting");
  const late = await listen();
  expect((await late.next()).data.source).toEqual(model.log);
  model.log = { state: "following" };
  const back = await stream.next();
  expect([back.event, back.data.source]).toEqual(["beat", { state: "following" }]);
});

test("a page of one device gets its readings and no others", async () => {
  const stream = await listen("?kind=reading&device=g/a");
  await stream.until("hello");
  model.addReading("g", "b", 1, { t: 1 });
  model.addReading("g", "a", 2, { t: 2 });
  const { data } = await stream.until("changes");
  expect(data.changes).toEqual([
    { kind: "reading", gateway: "g", device: "a", time: 2, metrics: { t: 2 } },
  ]);
});

test("a device whose name has a slash is told apart from one with a shorter name", async () => {
  const stream = await listen(`?kind=reading&device=${encodeURIComponent(deviceKey("g", "a/b"))}`);
  await stream.until("hello");
  model.addReading("g", "a", 1, { t: 1 });
  model.addReading("g", "a/b", 2, { t: 2 });
  const { data } = await stream.until("changes");
  expect(data.changes).toHaveLength(1);
  expect(data.changes[0].device).toBe("a/b");
});

test("a page that was away briefly gets what it missed", async () => {
  const stream = await listen();
  await stream.until("hello");
  model.addReading("g", "a", 1, { t: 1 });
  const { id } = await stream.until("changes");
  stream.close();
  model.addReading("g", "b", 2, { t: 2 });
  const again = await listen("", { "last-event-id": id ?? "" });
  expect((await again.next()).event).toBe("hello");
  const missed = await again.next();
  expect(missed.event).toBe("changes");
  // biome-ignore lint/suspicious/noExplicitAny: JSON from the wire
  expect(missed.data.changes.map((change: any) => change.device.device)).toEqual(["b"]);
});

test("an event id that nobody knows any more makes the page start anew", async () => {
  for (const id of ["0123456789ab.7", "nonsense"]) {
    const stream = await listen("", { "last-event-id": id });
    expect((await stream.next()).event).toBe("hello");
    expect((await stream.next()).event).toBe("reset");
  }
  const byQuery = await listen("?last_event_id=0123456789ab.7");
  await byQuery.until("reset");
});

test("one page more than allowed is refused and told why", async () => {
  await server.stop();
  await start({ maxLiveClients: 1 });
  const first = await listen();
  await first.until("hello");
  const second = await fetch(`${server.address?.url}api/v1/live`);
  expect(second.status).toBe(503);
  expect(await second.json()).toMatchObject({ code: "too_many_live_clients" });
});

test("a page that reads nothing is dropped, and the others go on", async () => {
  await server.stop();
  await start({ liveStallTimeoutMs: 150 });
  const port = server.address?.port ?? 0;
  const slow = connect(port, "127.0.0.1");
  slow.write("GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await once(slow, "readable");
  slow.pause();
  const good = await listen("?kind=alert");
  await good.until("hello");
  // 20 frames of 1.5 MB are more than the kernel keeps for a connection, so the server's own buffer fills.
  const text = "x".repeat(5000);
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 300; i++) model.addReading("g", `d${i}`, round, { text });
    await good.until("beat");
  }
  for (let beats = 0; beats < 5; beats++) await good.until("beat");
  // A connection that was not dropped would go on for ever once it is read again.
  const closed = once(slow, "close");
  slow.on("error", () => {});
  slow.resume();
  await closed;
  await good.until("beat");
});

test("stop ends open streams at once", async () => {
  const stream = await listen();
  await stream.until("hello");
  await server.stop();
  await expect(stream.until("never")).rejects.toThrow();
  expect(model.listeners.size).toBe(0);
});
