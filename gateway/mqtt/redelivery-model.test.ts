/**
 * A device that counts its ids up and sends again what it has no acknowledgement for, over connections that break and a
 * broker that is restarted on what its disk has.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Device, reading, startBroker } from "./test-support/device.ts";
import type { HeldBuffer } from "./test-support/held-buffer.ts";

type Step =
  | { readonly kind: "send"; readonly count: number; readonly qos: 1 | 2 }
  | { readonly kind: "commit"; readonly offers: number }
  | { readonly kind: "read" | "break" | "restart" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("send" as const),
    count: fc.integer({ min: 1, max: 12 }),
    qos: fc.constantFrom(1, 2),
  }),
  fc.record({ kind: fc.constant("commit" as const), offers: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ kind: fc.constantFrom("read" as const, "break" as const, "restart" as const) }),
);

interface Open {
  readonly qos: 1 | 2;
  /** It has its PUBREC. */
  received: boolean;
}

class CountingDevice {
  sent = 0;
  /** By value, which is the id too. */
  readonly open = new Map<number, Open>();
  #wire: Device | undefined;

  async connect(port: number): Promise<void> {
    this.#wire = new Device(port);
    await this.#wire.connectAs("c", { clean: false });
    for (const [value, { qos, received }] of this.open) {
      if (received) this.#wire.send({ cmd: "pubrel", messageId: value });
      else this.#wire.send(reading(value, { qos, dup: true }));
    }
  }

  send(qos: 1 | 2): void {
    this.sent += 1;
    this.open.set(this.sent, { qos, received: false });
    this.#wire?.send(reading(this.sent, { qos }));
  }

  /** Takes what has come up to the answer to a ping. What comes later is not seen if the connection breaks now. */
  async read(): Promise<void> {
    this.#wire?.send({ cmd: "pingreq" });
    for (;;) {
      const packet = await this.#wire?.receive();
      if (packet === undefined || packet.cmd === "pingresp") return;
      const id = packet.messageId ?? 0;
      if (packet.cmd === "puback" || packet.cmd === "pubcomp") this.open.delete(id);
      const open = this.open.get(id);
      if (packet.cmd === "pubrec" && open) {
        open.received = true;
        this.#wire?.send({ cmd: "pubrel", messageId: id });
      }
    }
  }

  async break(): Promise<void> {
    this.#wire?.socket.destroy();
    await this.#wire?.whenClosed();
  }
}

/** @param onRestart what the disk still gets before the broker ends */
async function play(
  steps: readonly Step[],
  onRestart: (buffer: HeldBuffer) => Promise<void>,
): Promise<{ stored: number[]; sent: number[] }> {
  let broker = await startBroker();
  const device = new CountingDevice();
  await device.connect(broker.broker.port);
  broker.buffer.hold = true;
  for (const one of steps) {
    if (one.kind === "send") for (let i = 0; i < one.count; i += 1) device.send(one.qos);
    if (one.kind === "commit") broker.buffer.letGo(one.offers);
    if (one.kind === "read") await device.read();
    if (one.kind === "restart") {
      await onRestart(broker.buffer);
      await broker.broker.stop();
      broker = await startBroker(broker.buffer.disk);
      broker.buffer.hold = true;
    }
    if (one.kind === "break" || one.kind === "restart") {
      await device.break();
      await device.connect(broker.broker.port);
    }
  }
  broker.buffer.hold = false;
  broker.buffer.letGo();
  while (device.open.size > 0) await device.read();
  await device.break();
  await broker.stop();
  const stored = broker.readings().map(Number);
  return {
    stored: stored.toSorted((a, b) => a - b),
    sent: Array.from({ length: device.sent }, (_, i) => i + 1),
  };
}

test("whatever breaks, every message is stored exactly once; also over a restart behind what is on disk", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { stored, sent } = await play(steps, async (buffer) => {
        buffer.letGo();
        // Notes that follow what was stored just now.
        await new Promise((resolve) => setImmediate(resolve));
        buffer.letGo();
      });
      expect(stored).toEqual(sent);
    }),
    { numRuns: 40 },
  );
});

test("wherever the broker is killed, nothing is lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { stored, sent } = await play(steps, async () => {});
      expect([...new Set(stored)]).toEqual(sent);
    }),
    { numRuns: 40 },
  );
});
