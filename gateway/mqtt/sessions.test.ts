import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { makeEpoch } from "../../events/ids.ts";
import { LevelBuffer } from "../buffer/leveldb.ts";
import { Broker } from "./broker.ts";
import { DurableNotes } from "./durable-notes.ts";
import { Intake } from "./intake.ts";
import { RECENT } from "./redelivery.core.ts";
import {
  keyNumbers,
  qos1Note,
  qos2Note,
  readQos1,
  readQos2,
  readSession,
  sessionNote,
} from "./session-notes.core.ts";
import { Sessions } from "./sessions.ts";
import { cleanups, Device, reading, STAMP, subscribe } from "./test-support/device.ts";
import { HeldBuffer } from "./test-support/held-buffer.ts";

const after = cleanups();
afterEach(() => after.run());

describe("notes", () => {
  const value = ({ value }: { value: Uint8Array | undefined }) => value ?? new Uint8Array();

  test("come back as they were written", () => {
    const session = {
      client: "a/b ü",
      connections: 7,
      subscriptions: new Map([
        ["sensors/#", 1],
        ["x", 0],
      ] as const),
    };
    expect(readSession(value(sessionNote(1000, session)))).toEqual(session);
    const record = {
      position: 2 ** 40,
      id: 65535,
      hash: 2n ** 64n - 1n,
      connection: 2 ** 32 - 1,
      reuses: true,
    };
    expect(readQos1(value(qos1Note(1000, record)))).toEqual(record);
    expect(readQos2(value(qos2Note(1000, 65535, 5n)))).toBe(5n);
    expect(keyNumbers(sessionNote(1000, session).key)).toEqual([1000, 0]);
    expect(keyNumbers(qos1Note(1000, record).key)).toEqual([1000, record.position % RECENT]);
    expect(keyNumbers(qos2Note(1000, 65535, 5n).key)).toEqual([1000, 65535]);
  });

  test("that are damaged are passed over", () => {
    for (const bytes of [[], [0xff], [0xa0], [0x60], [0xf6]]) {
      expect(readSession(Uint8Array.from(bytes))).toBeUndefined();
      expect(readQos1(Uint8Array.from(bytes))).toBeUndefined();
      expect(readQos2(Uint8Array.from(bytes))).toBeUndefined();
    }
    expect(keyNumbers("s/")).toBeUndefined();
    expect(keyNumbers("other")).toBeUndefined();
  });
});

describe("Sessions", () => {
  function made(max: number, buffer = new HeldBuffer()) {
    const forgotten: string[] = [];
    const notes = new DurableNotes(buffer);
    const sessions = new Sessions(buffer, notes, ({ client }) => forgotten.push(client), max);
    return { buffer, sessions, forgotten };
  }

  test("beyond the limit the one that was away longest is forgotten, on disk too", async () => {
    const { buffer, sessions, forgotten } = made(2);
    const close = (client: string) => {
      const session = sessions.get(client);
      if (session) session.connected = false;
    };
    sessions.open("connected");
    for (const client of ["old", "young"]) {
      sessions.open(client);
      close(client);
    }
    expect(forgotten).toEqual(["old"]);
    sessions.open("new");
    expect(forgotten).toEqual(["old", "young"]);
    await buffer.until(() => buffer.commits > 0);
    const again = made(2, new HeldBuffer(buffer.disk));
    await again.sessions.load();
    expect([...again.sessions].map(({ client }) => client).sort()).toEqual(["connected", "new"]);
  });

  test("a note that fails is tried again until it is on disk", async () => {
    const { buffer, sessions } = made(10);
    let failures = 2;
    const note = buffer.note.bind(buffer);
    const { BufferError } = await import("../buffer/port.ts");
    buffer.note = async (notes) => {
      failures -= 1;
      if (failures >= 0) throw new BufferError("unavailable", "planted");
      return await note(notes);
    };
    sessions.open("c");
    await sessions.subscribe("c", [["sensors/#", 1]]);
    expect(failures).toBeLessThan(0);
    expect(buffer.disk.notes.size).toBe(1);
  });

  test("what is left of a session that is gone is deleted, and its number is not given out again", async () => {
    const buffer = new HeldBuffer();
    const record = { position: 0, id: 1, hash: 1n, connection: 1, reuses: false };
    const { key, value } = qos1Note(77, record);
    buffer.disk.notes.set(key, value ?? new Uint8Array());
    const { sessions } = made(10, buffer);
    await sessions.load();
    await buffer.until(() => buffer.disk.notes.size === 0);
    expect(sessions.open("c").session.number).toBe(78);
  });
});

test("over the store itself: a session, its subscriptions and what it sent last outlive a restart", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-sessions-"));
  after.add(() => rm(directory, { recursive: true }));
  const start = async (createIfMissing: boolean) => {
    const buffer = new LevelBuffer({
      directory: join(directory, "buffer"),
      createIfMissing,
      makeEpoch: () => makeEpoch(new Uint8Array(10)),
      stamp: () => STAMP,
      capacityBytes: 1e8,
      policy: "refuse",
      freeFloorBytes: 0,
      commitWindowMs: 0,
    });
    await buffer.start();
    const intake = new Intake({ buffer, stamp: () => STAMP, maxPayloadBytes: 1000 });
    const logger = pino({ level: "silent" });
    const broker = new Broker(
      { host: "127.0.0.1", port: 0, maxClients: 10, connectTimeoutMs: 5000, queueLimit: 100 },
      intake,
      logger,
    );
    await broker.start();
    const stop = async () => {
      await broker.stop();
      await buffer.stop();
    };
    return { broker, intake, stop };
  };
  const connected = async ({ port }: Broker, present: boolean) => {
    const device = new Device(port);
    after.add(() => device.socket.destroy());
    expect(await device.connectAs("c", { clean: false })).toMatchObject({
      sessionPresent: present,
    });
    return device;
  };
  const first = await start(true);
  const before = await connected(first.broker, false);
  before.send(subscribe(9, "home/#", 1));
  expect(await before.told(1)).toEqual(["suback 9"]);
  for (const value of [1, 2, 3]) {
    before.send(reading(value));
    expect(await before.told(1)).toEqual([`puback ${value}`]);
  }
  before.send(reading(4, { qos: 2 }));
  expect(await before.told(1)).toEqual(["pubrec 4"]);
  await first.stop();
  const second = await start(false);
  after.add(() => second.stop());
  const device = await connected(second.broker, true);
  device.send(reading(3, { dup: true }), reading(4, { qos: 2, dup: true }));
  expect(await device.told(2)).toEqual(["puback 3", "pubrec 4"]);
  device.send({ cmd: "pubrel", messageId: 4 });
  expect(await device.told(1)).toEqual(["pubcomp 4"]);
  device.send(reading(5, { topic: "home/x" }));
  expect((await device.told(2)).sort()).toEqual(["puback 5", "publish home/x 5 qos1"]);
  expect(second.intake.stats.readings).toBe(0);
  expect(second.broker.stats().repeats).toBe(2);
});
