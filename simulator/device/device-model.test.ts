/**
 * Whatever the world does to a device (answers late, in any order or never, connections that end at any moment, sessions
 * that are lost), it holds to the rules of ids and order, and no reading goes missing inside of it.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { DeviceSpec } from "../scenario/scenario.ts";
import type { PublishPacket, SentReading } from "./port.ts";
import { ScriptedWorld, specOf } from "./test-support/scripted-world.ts";

type Move =
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "connected"; readonly sessionPresent: boolean }
  | { readonly kind: "disconnected" }
  /** Answers what was sent over this connection: one of those that wait, chosen by share. */
  | { readonly kind: "answer"; readonly share: number }
  | { readonly kind: "answer all" };

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("pass"), ms: fc.nat({ max: 4000 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("connected"), sessionPresent: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("disconnected") }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("answer"), share: fc.nat({ max: 999 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("answer all") }) },
) as fc.Arbitrary<Move>;

const spec: fc.Arbitrary<DeviceSpec> = fc
  .record({
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    persistent: fc.boolean(),
    duplicates: fc.constantFrom(0, 0.5),
    ignoresAcks: fc.constantFrom(0, 0.5),
    sleep: fc.constantFrom(undefined, { everyMs: 5000 }),
    reconnectEveryMs: fc.constantFrom(0, 7000),
    maxQueued: fc.constantFrom(0, 3, 20),
    window: fc.constantFrom(1, 3, 10),
    packetIds: fc.constantFrom(1, 2, 5, 11, 65_535),
    ackTimeoutMs: fc.constantFrom(0, 6000),
    offline: fc.constantFrom({ at: [] }, { at: [], random: { everyMs: 9000, lastsMs: 2000 } }),
    silent: fc.constantFrom({ at: [] }, { at: [], random: { everyMs: 9000, lastsMs: 2000 } }),
  })
  .map(({ qos, persistent, sleep, ...behaviour }) =>
    specOf({
      qos,
      persistent,
      everyMs: 700,
      behaviour: { ...behaviour, ...(sleep ? { sleep } : {}) },
    }),
  );

interface Open {
  readonly reading: SentReading;
  readonly packet: PublishPacket;
  /** PUBREC came. */
  released: boolean;
  /** It was over, and the device sent it again. */
  readonly echo: boolean;
}

/** What the rules of MQTT 3.1.1 say about one device, from what it is seen to do. */
class Judge extends ScriptedWorld {
  readonly spec: DeviceSpec;
  /** By packet id, in the order of sending. */
  readonly open = new Map<number, Open>();
  readonly closed = new Map<number, Open>();
  /** Sent over this connection and not answered: `pub 3`, `rel 3`. */
  waiting: string[] = [];
  life: "idle" | "connecting" | "online" = "idle";
  /** Open when a session was resumed and not sent again yet. */
  owed: string[] = [];
  readonly firsts: number[] = [];
  readonly heard = new Set<number>();
  lastWritten: PublishPacket | undefined;
  echoes = 0;
  /** Of what was sent as new over this connection. */
  newest = 0;

  constructor(device: DeviceSpec, seed: number) {
    super(device, { seed, lastsMs: 60_000 });
    this.spec = device;
  }

  override connect(options: { readonly clientId: string; readonly clean: boolean }): void {
    assert.equal(this.life, "idle", "it connects only without a connection");
    super.connect(options);
    this.life = "connecting";
  }

  override publish(packet: PublishPacket): void {
    assert.equal(this.life, "online", "it sends only over a connection");
    this.lastWritten = packet;
    if (packet.qos > 0) this.waiting.push(`pub ${packet.messageId}`);
  }

  override pubrel(messageId: number): void {
    assert.equal(this.life, "online", "it sends only over a connection");
    this.#pay(`rel ${messageId}`);
    this.waiting.push(`rel ${messageId}`);
  }

  override disconnect(clean: boolean): void {
    assert.notEqual(this.life, "idle", "it ends only a connection that there is");
    super.disconnect(clean);
    this.end();
  }

  override written(reading: SentReading, packet: PublishPacket, fresh: boolean): void {
    assert.equal(packet, this.lastWritten);
    assert.equal(packet.dup, !fresh, "[MQTT-3.3.1-1] DUP is set on what was sent before, else not");
    const { messageId: id } = packet;
    if (fresh) {
      assert.equal(this.owed.length, 0, "[MQTT-4.4.0-1] first what is open");
      assert.ok(!this.open.has(id), "an id is used afresh only after what it was used for is over");
      if (packet.qos > 0) {
        assert.ok(id >= 1 && id <= (this.spec.behaviour.packetIds ?? 0));
        this.open.set(id, { reading, packet, released: false, echo: false });
        this.closed.delete(id);
        const own = [...this.open.values()].filter(({ echo }) => !echo);
        assert.ok(own.length <= this.spec.behaviour.window, "no more than the window are open");
      } else assert.equal(id, 0, "no id at QoS 0 [MQTT-2.3.1-5]");
      assert.ok(reading.n >= this.newest, "what is sent as new goes in the order of its numbers");
      this.newest = reading.n;
      if (reading.n > (this.firsts.at(-1) ?? 0)) this.firsts.push(reading.n);
      else assert.ok(this.firsts.includes(reading.n), "readings are first sent in their order");
    } else {
      const before = this.open.get(id) ?? this.closed.get(id);
      assert.equal(before?.reading, reading, "DUP is of the message that had the id last");
      assert.ok(before && packet.payload.equals(before.packet.payload));
      if (this.open.has(id)) this.#pay(`pub ${id}`);
      else {
        this.echoes += 1;
        assert.ok(this.spec.behaviour.ignoresAcks > 0, "what is over is not sent again");
        this.open.set(id, { ...before, released: false, echo: true });
      }
    }
    super.written(reading, packet, fresh);
  }

  override acknowledged(reading: SentReading): void {
    assert.ok(this.heard.has(reading.n), "it believes only what it was told");
    assert.ok(!this.acked.includes(reading), "told once");
    super.acknowledged(reading);
  }

  override dropped(reading: SentReading): void {
    assert.ok(!this.firsts.includes(reading.n), "what was sent is never given up");
    super.dropped(reading);
  }

  /** What is owed comes in the order in which it is owed. */
  #pay(debt: string): void {
    if (this.owed.length === 0) return;
    if (debt.startsWith("rel") && !this.owed.includes(debt)) return;
    const kind = debt.slice(0, 3);
    assert.equal(
      this.owed.find((one) => one.startsWith(kind)),
      debt,
      "[MQTT-4.6.0-1], [MQTT-4.6.0-4] in their order",
    );
    this.owed.splice(this.owed.indexOf(debt), 1);
  }

  end(): void {
    this.life = "idle";
    this.newest = 0;
    this.waiting = [];
    this.owed = [];
    // Nobody will answer them any more.
    for (const [id, { echo }] of this.open) {
      if (echo && this.spec.qos === 1) this.#close(id);
    }
  }

  #close(id: number): void {
    const open = this.open.get(id);
    if (!open) return;
    this.open.delete(id);
    this.closed.set(id, open);
  }

  make(step: Move): void {
    switch (step.kind) {
      case "pass":
        this.pass(step.ms);
        break;
      case "connected": {
        if (this.life !== "connecting") return;
        this.life = "online";
        const kept = step.sessionPresent && this.spec.persistent;
        if (kept) {
          const own = [...this.open].filter(([, { echo }]) => !echo);
          this.owed = [
            ...this.#released.filter((id) => !this.open.get(id)?.echo).map((id) => `rel ${id}`),
            ...own.filter(([, { released }]) => !released).map(([id]) => `pub ${id}`),
          ];
        } else {
          this.open.clear();
          this.closed.clear();
          this.#released = [];
        }
        this.device.connected(kept);
        break;
      }
      case "disconnected":
        if (this.life === "idle") return;
        this.end();
        this.device.disconnected();
        break;
      case "answer": {
        const [answer] = this.waiting.splice(step.share % Math.max(1, this.waiting.length), 1);
        if (answer !== undefined) this.#answer(answer);
        break;
      }
      case "answer all":
        for (let answer = this.waiting.shift(); answer; answer = this.waiting.shift()) {
          this.#answer(answer);
        }
    }
  }

  /** In the order of the PUBRECs. */
  #released: number[] = [];

  #answer(answer: string): void {
    const id = Number(answer.slice(4));
    const open = this.open.get(id);
    if (answer.startsWith("rel")) {
      this.#close(id);
      this.#released = this.#released.filter((one) => one !== id);
      this.device.pubcomp(id);
      return;
    }
    if (open) this.heard.add(open.reading.n);
    if (this.spec.qos === 1) {
      this.#close(id);
      this.device.puback(id);
    } else {
      if (open && !open.released) {
        open.released = true;
        this.#released.push(id);
      }
      this.device.pubrec(id);
    }
  }

  check(): void {
    const { qos, behaviour } = this.spec;
    const { device } = this;
    const made = Math.max(0, ...this.firsts, ...this.given.map(({ n }) => n)) + device.queued;
    assert.equal(
      made,
      this.firsts.length + this.given.length + device.queued,
      "each is sent, given up or kept",
    );
    assert.ok(device.queued <= behaviour.maxQueued);
    if (qos === 0) assert.equal(device.unacknowledged, 0);
    else if (behaviour.duplicates === 0) {
      assert.equal(device.unacknowledged, this.firsts.length - this.acked.length);
    } else assert.ok(device.unacknowledged >= this.firsts.length - this.acked.length);
  }

  /** A world in which everything works, until nothing is left. */
  settle(): void {
    for (let round = 0; round < 2000 && !this.device.done; round += 1) {
      this.make({ kind: "connected", sessionPresent: true });
      this.make({ kind: "answer all" });
      this.pass(100);
      this.check();
    }
  }
}

test("whatever the world does: ids, order, and every reading accounted for", () => {
  let echoes = 0;
  let resumed = 0;
  fc.assert(
    fc.property(
      spec,
      fc.nat(),
      fc.array(move, { minLength: 1, maxLength: 80 }),
      (device, seed, moves) => {
        const judge = new Judge(device, seed);
        judge.device.start();
        for (const step of moves) {
          judge.make(step);
          judge.check();
        }
        judge.settle();
        assert.ok(judge.device.done, "it comes to an end");
        if (device.qos > 0) {
          assert.deepEqual(
            judge.acked.map(({ n }) => n).sort((a, b) => a - b),
            judge.firsts,
            "all that was sent is acknowledged in the end",
          );
        }
        echoes += judge.echoes;
        resumed += judge.writes.filter(({ fresh }) => !fresh).length;
      },
    ),
    { numRuns: 1500 },
  );
  // It has seen what it is about.
  expect(echoes).toBeGreaterThan(100);
  expect(resumed).toBeGreaterThan(100);
});
