/**
 * What the oracle takes docs/mqtt.md to promise, against the gateway's own rule: devices that count their ids up, go through them
 * in a circle or take the lowest free one, over connections that lose what was sent, the acknowledgements, or both.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { RedeliveryTable } from "../gateway/mqtt/redelivery.core.ts";
import { promisedRecognitions } from "./oracle-redelivery.ts";
import type { SentReading, SentWrite } from "./oracle-sent.ts";

type Step =
  | { readonly kind: "send"; readonly count: number }
  /** From here on nothing reaches the gateway, or no acknowledgement the device, until the connection breaks. */
  | { readonly kind: "mute" | "deaf" | "store" | "break" };

const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("send" as const), count: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ kind: fc.constantFrom("mute" as const, "deaf" as const) }),
    fc.record({ kind: fc.constantFrom("store" as const, "break" as const) }),
  ),
  { maxLength: 60, size: "max" },
);

/** Ids in a circle of so many; 0 takes the lowest free one. */
const circle = fc.constantFrom(0, 5, 60, 70, 65_535);

interface Message {
  readonly writes: SentWrite[];
  readonly id: number;
  readonly hash: bigint;
  acknowledged: boolean;
}

/** A device, its connection and the gateway's table. */
class Line {
  readonly messages: Message[] = [];
  /** How often each content was stored. */
  readonly stored = new Map<bigint, number>();
  readonly #table = new RedeliveryTable<Message>();
  readonly #opened: { publish: ReturnType<RedeliveryTable<Message>["add"]>; of: Message[] }[] = [];
  readonly #circle: number;
  readonly #alike: boolean;
  readonly #unacknowledged = new Set<Message>();
  #order = 0;
  #lastId = 0;
  #connection = 1;
  /** As the gateway counts them: those over which something came. */
  #heard = 0;
  #heardOn = 0;
  #mute = false;
  #deaf = false;

  constructor(circleSize: number, alike: boolean) {
    this.#circle = circleSize;
    this.#alike = alike;
  }

  play(step: Step): void {
    if (step.kind === "send") for (let left = step.count; left > 0; left -= 1) this.#send();
    if (step.kind === "mute") this.#mute = true;
    if (step.kind === "deaf") this.#deaf = true;
    if (step.kind === "store") this.#store();
    if (step.kind !== "break") return;
    this.#connection += 1;
    this.#mute = false;
    this.#deaf = false;
    for (const { of } of this.#opened) of.length = 0;
    for (const message of this.#unacknowledged) this.#write(message, true);
  }

  #send(): void {
    const used = new Set([...this.#unacknowledged].map(({ id }) => id));
    let id = this.#circle === 0 ? 1 : (this.#lastId % this.#circle) + 1;
    if (this.#circle === 0) while (used.has(id)) id += 1;
    // All ids are taken: it waits for an acknowledgement.
    if (used.has(id)) return;
    this.#lastId = id;
    const hash = this.#alike ? 1n : BigInt(this.messages.length);
    const message: Message = { writes: [], id, hash, acknowledged: false };
    this.messages.push(message);
    this.#unacknowledged.add(message);
    this.#write(message, false);
  }

  #write(message: Message, dup: boolean): void {
    this.#order += 1;
    const { id, hash } = message;
    const write = { qos: 1, messageId: id, dup, fresh: !dup, order: this.#order } as const;
    message.writes.push({ ...write, connection: this.#connection });
    if (this.#mute) return;
    if (this.#heardOn !== this.#connection) this.#heard += 1;
    this.#heardOn = this.#connection;
    const judged = this.#table.judge(id, hash, dup, this.#heard);
    if (judged.kind === "stored") this.#acknowledge(message);
    if (judged.kind === "open") {
      this.#opened.find(({ publish }) => publish === judged.publish)?.of.push(message);
    }
    if (judged.kind !== "new") return;
    const publish = this.#table.add(id, hash, dup, this.#heard);
    this.stored.set(hash, (this.stored.get(hash) ?? 0) + 1);
    this.#opened.push({ publish, of: [message] });
  }

  #store(): void {
    for (const { publish, of } of this.#opened.splice(0)) {
      this.#table.close(publish);
      for (const message of of) this.#acknowledge(message);
    }
  }

  #acknowledge(message: Message): void {
    if (this.#deaf) return;
    message.acknowledged = true;
    this.#unacknowledged.delete(message);
  }
}

const readingOf = ({ writes, acknowledged }: Message): SentReading => ({
  gateway: "g",
  device: "d",
  time: undefined,
  metrics: {},
  writes,
  acknowledged,
});

const send = (count: number): Step => ({ kind: "send", count });
const [STORE, BREAK, DEAF] = (["store", "break", "deaf"] as const).map((kind) => ({ kind })) as [
  Step,
  Step,
  Step,
];

/** What the oracle took for a promise once: a circle in which an id comes round behind repeats. */
const EXAMPLES: [Step[], number, boolean][] = [
  [[send(1), STORE, send(35), BREAK, DEAF, send(25), STORE, BREAK], 60, false],
  [[send(42), DEAF, STORE, send(22), BREAK, STORE, send(7), DEAF, STORE, BREAK], 70, false],
];

test("what is promised to be recognised is, whatever a device does with its ids", () => {
  let promises = 0;
  fc.assert(
    fc.property(steps, circle, fc.boolean(), (played, circleSize, alike) => {
      const line = new Line(circleSize, alike);
      for (const step of played) line.play(step);
      const promised = promisedRecognitions(line.messages.map(readingOf), true);
      promises += promised.size;
      for (const [hash, own] of Map.groupBy(line.messages, (message) => message.hash)) {
        const most = own.flatMap(({ writes }) => writes).filter((one) => !promised.has(one)).length;
        expect(line.stored.get(hash) ?? 0).toBeLessThanOrEqual(most);
      }
    }),
    { numRuns: Number(process.env.TEST_RUNS ?? 300), examples: EXAMPLES },
  );
  expect(promises).toBeGreaterThan(1000);
});

test("of a device that counts its ids up nothing acknowledged is dropped, even if all readings are alike", () => {
  fc.assert(
    fc.property(steps, (played) => {
      const line = new Line(65_535, true);
      for (const step of played) line.play(step);
      const acknowledged = line.messages.filter((message) => message.acknowledged).length;
      expect(line.stored.get(1n) ?? 0).toBeGreaterThanOrEqual(acknowledged);
    }),
    { numRuns: Number(process.env.TEST_RUNS ?? 300) },
  );
});
