import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Connection, KEEPALIVE_SECONDS } from "./connection.ts";
import { DISCONNECT, PINGREQ } from "./packets.core.ts";
import { Switchboard } from "./switchboard.ts";

const CONNACK = Buffer.from([0x20, 2, 0, 0]);
const PINGRESP = Buffer.from([0xd0, 0]);

/** A listener that says what a test lets it say. */
class Peer {
  readonly server: Server;
  /** Chunks as they came, over all connections. */
  readonly chunks: Buffer[] = [];
  sockets: Socket[] = [];
  #heard: (() => void)[] = [];

  constructor(answer: (chunk: Buffer, socket: Socket) => void) {
    this.server = createServer((socket) => {
      this.sockets.push(socket);
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => {
        this.chunks.push(chunk);
        answer(chunk, socket);
        for (const resolve of this.#heard.splice(0)) resolve();
      });
    });
  }

  async start(): Promise<number> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    const address = this.server.address();
    return typeof address === "object" ? (address?.port ?? 0) : 0;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#heard.push(resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, "close");
  }
}

/** What a connection told, and a promise for each next thing. */
class Told {
  readonly said: string[] = [];
  #waiting: (() => void)[] = [];

  readonly events = {
    connected: (present: boolean) => this.#say(`connected ${present}`),
    closed: (reason: string, wasOpen: boolean) => this.#say(`closed ${wasOpen}: ${reason}`),
    puback: (id: number) => this.#say(`puback ${id}`),
    pubrec: (id: number) => this.#say(`pubrec ${id}`),
    pubcomp: (id: number) => this.#say(`pubcomp ${id}`),
  };

  #say(what: string): void {
    this.said.push(what);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async until(count: number): Promise<readonly string[]> {
    while (this.said.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.said;
  }
}

describe("connection", () => {
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function connected(answer: (chunk: Buffer, socket: Socket) => void, clock?: () => number) {
    const peer = new Peer(answer);
    const port = await peer.start();
    cleanups.push(() => peer.stop());
    const address = { host: "127.0.0.1", port };
    const switchboard = new Switchboard({ address, ...(clock ? { now: clock } : {}) });
    const told = new Told();
    const options = { clientId: "c", clean: true };
    const connection = new Connection(switchboard, options, told.events);
    cleanups.push(() => {
      connection.cut();
      switchboard.alarms.clearAll();
    });
    return { peer, told, connection, switchboard };
  }

  const publish = (messageId: number) =>
    ({ topic: "a", payload: Buffer.from("1"), qos: 1, messageId, dup: false }) as const;

  test("what is published in one turn goes out in one write, in order", async () => {
    const { peer, told, connection } = await connected((chunk, socket) => {
      if (chunk[0] === 0x10) socket.write(CONNACK);
      else socket.write(Buffer.from([0x40, 2, 0, 1, 0x40, 2, 0, 2, 0x50, 2, 0, 3, 0x70, 2, 0, 4]));
    });
    await told.until(1);
    const write = vi.spyOn((await import("node:net")).Socket.prototype, "write");
    cleanups.push(() => write.mockRestore());
    for (const id of [1, 2, 3]) connection.publish(publish(id));
    expect(write).not.toHaveBeenCalled();
    expect(await told.until(5)).toEqual([
      "connected false",
      "puback 1",
      "puback 2",
      "pubrec 3",
      "pubcomp 4",
    ]);
    const expected = [1, 2, 3].map((id) =>
      mqttPacket.generate({ cmd: "publish", retain: false, ...publish(id) }),
    );
    expect(write.mock.calls[0]?.[0]).toEqual(Buffer.concat(expected));
    expect(Buffer.concat(peer.chunks.slice(1))).toEqual(Buffer.concat(expected));
  });

  test("end() says goodbye after what was published, and tells nothing any more", async () => {
    const { peer, told, connection } = await connected((chunk, socket) => {
      if (chunk[0] === 0x10) socket.write(CONNACK);
    });
    await told.until(1);
    connection.publish(publish(1));
    await connection.end();
    expect(peer.chunks.at(-1)?.subarray(-2)).toEqual(DISCONNECT);
    expect(Buffer.concat(peer.chunks.slice(1))).toHaveLength(2 + 2 + 1 + 2 + 1 + 2);
    expect(told.said).toEqual(["connected false"]);
  });

  test("a refusal, a closed connection, and no listener are told with their reason", async () => {
    const refused = await connected((_, socket) => socket.write(Buffer.from([0x20, 2, 0, 4])));
    expect(await refused.told.until(1)).toEqual([
      "closed false: refused: bad user name or password",
    ]);
    const closed = await connected((chunk, socket) => {
      if (chunk[0] === 0x10) socket.end(CONNACK);
    });
    expect(await closed.told.until(2)).toEqual([
      "connected false",
      "closed true: the broker closed the connection",
    ]);
    const away = await connected(() => undefined);
    away.connection.cut();
    await away.peer.stop();
    cleanups.splice(-2, 1);
    const told = new Told();
    new Connection(away.switchboard, { clientId: "c", clean: true }, told.events);
    expect((await told.until(1))[0]).toMatch(/^closed false: connect ECONNREFUSED/);
  });

  test("a broker that says nothing is asked, and given up; one that acknowledges is not asked", async () => {
    let time = 0;
    const passed = async (ms: number) => {
      time += ms;
      await vi.advanceTimersByTimeAsync(ms);
    };
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    cleanups.push(() => vi.useRealTimers());
    let pongs = 1;
    const { peer, told, connection } = await connected(
      (chunk, socket) => {
        if (chunk[0] === 0x10) socket.write(CONNACK);
        else if (chunk[0] === 0x30 + 2) socket.write(Buffer.from([0x40, 2, 0, 1]));
        else if (chunk.equals(PINGREQ)) {
          if (pongs > 0) socket.write(PINGRESP);
          pongs -= 1;
        }
      },
      () => time,
    );
    await passed(1);
    await told.until(1);
    await passed(40_000);
    connection.publish(publish(1));
    await told.until(2);
    await passed(40_000);
    expect(peer.chunks.filter((chunk) => chunk.equals(PINGREQ))).toEqual([]);
    await passed(5001);
    await peer.until(() => peer.chunks.some((chunk) => chunk.equals(PINGREQ)));
    // The answer is read in a later turn of the loop than the one that heard the question.
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(time - 40_001).toBeLessThan(KEEPALIVE_SECONDS * 1000);
    await passed(45_001);
    await peer.until(() => peer.chunks.filter((chunk) => chunk.equals(PINGREQ)).length === 2);
    expect(told.said).toHaveLength(2);
    await passed(10_001);
    expect(await told.until(3)).toContain("closed true: no answer to PINGREQ");
  });

  test("no answer to CONNECT is given up after its time", async () => {
    let time = 0;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    cleanups.push(() => vi.useRealTimers());
    const { told, peer } = await connected(
      () => undefined,
      () => time,
    );
    await vi.advanceTimersByTimeAsync(1);
    await peer.until(() => peer.chunks.length > 0);
    time += 10_001;
    await vi.advanceTimersByTimeAsync(10_001);
    expect(await told.until(1)).toEqual(["closed false: no answer to CONNECT"]);
  });

  test("a broker that reads no more is given up before memory is", async () => {
    const { told, connection, peer } = await connected((_, socket) => {
      socket.write(CONNACK);
      socket.pause();
    });
    await told.until(1);
    const payload = Buffer.alloc(64 * 1024);
    const flood = setInterval(() => {
      for (let i = 0; i < 16; i += 1) {
        connection.publish({ topic: "a", payload, qos: 0, messageId: 0, dup: false });
      }
    }, 1);
    cleanups.push(() => clearInterval(flood));
    expect((await told.until(2))[1]).toBe("closed true: the broker does not read");
    expect(peer.sockets).toHaveLength(1);
  });
});
