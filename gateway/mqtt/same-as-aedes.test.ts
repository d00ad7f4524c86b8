/**
 * The same script of packets against this broker and against bare aedes: clients must be told the same, and subscribers
 * must get what they subscribed to, in order.
 */
import { createServer } from "node:net";
import { Aedes } from "aedes";
import fc from "fast-check";
import type { IPublishPacket, Packet } from "mqtt-packet";
import { afterAll, expect, test } from "vitest";
import { SubscriptionFilters } from "./subscription-filters.core.ts";
import { bytesOf, Device, startBroker, subscribe } from "./test-support/device.ts";

interface Script {
  readonly publishes: readonly IPublishPacket[];
  readonly filters: readonly { readonly filter: string; readonly qos: 0 | 1 | 2 }[];
  /** Bytes after which the publisher's stream is cut. */
  readonly cuts: readonly number[];
}

/** What one broker did, in the order in which each client saw it, but for what MQTT leaves open. */
interface Seen {
  /** Messages of each kind that the publisher was told, in order. */
  readonly told: Record<string, (number | undefined)[]>;
  /** Of each subscriber: payloads by topic and the QoS at which they were sent, in order [MQTT-4.6.0-6]. */
  readonly delivered: Record<string, string[]>[];
}

/** Ids grow as they are sent, and so must the acknowledgements; bare aedes lets a retained message's come late. */
function inOrder(told: Seen["told"]): Seen["told"] {
  return Object.fromEntries(
    Object.entries(told).map(([cmd, ids]) => [cmd, ids.toSorted((a = 0, b = 0) => a - b)]),
  );
}

/** What a subscription is to get, in the order in which it was sent. */
function matching({ publishes }: Script, filter: string): Record<string, string[]> {
  const filters = new SubscriptionFilters();
  filters.add(filter);
  const wanted: Record<string, string[]> = {};
  for (const { topic, qos: sent, payload } of publishes) {
    if (!filters.matches(topic)) continue;
    const key = keyOf(topic, sent);
    wanted[key] = [...(wanted[key] ?? []), String(payload)];
  }
  return wanted;
}

/** Not the QoS at which it came: aedes lowers it only for subscriptions without a wildcard. */
const keyOf = (topic: string, sent: number | undefined): string => `${topic} sent at qos${sent}`;

/** Sent twice when everything else was acknowledged: what a subscriber has not got by then it will not get. */
const END = {
  cmd: "publish",
  topic: "end",
  payload: "",
  qos: 0,
  dup: false,
  retain: false,
} as const;

const qos = fc.constantFrom<0 | 1 | 2>(0, 1, 2);
const script: fc.Arbitrary<Script> = fc
  .record({
    publishes: fc.array(
      fc.record({
        topic: fc.constantFrom(
          "sensors/a",
          "sensors/a/t",
          "sensors/b",
          "home/lamp",
          "sensors/x/y/z",
        ),
        qos,
        retain: fc.boolean(),
      }),
      { minLength: 1, maxLength: 40 },
    ),
    filters: fc.array(
      fc.record({
        filter: fc.constantFrom("#", "sensors/+", "sensors/a/#", "home/lamp", "none"),
        qos,
      }),
      { maxLength: 3 },
    ),
    cuts: fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 20 }),
  })
  .map(({ publishes, ...rest }) => ({
    ...rest,
    publishes: publishes.map((publish, i) => ({
      ...publish,
      cmd: "publish" as const,
      payload: String(i + 1),
      dup: false,
      ...(publish.qos > 0 ? { messageId: i + 1 } : {}),
    })),
  }));

async function play(port: number, run: number, play: Script): Promise<Seen> {
  const devices: Device[] = [];
  const connected = async (id: string) => {
    const device = new Device(port);
    devices.push(device);
    await device.connectAs(`${id}-${run}`);
    return device;
  };
  const subscribers: Device[] = [];
  for (const [i, { filter, qos: granted }] of play.filters.entries()) {
    const subscriber = await connected(`s${i}`);
    subscriber.send(subscribe(1, filter, granted), subscribe(2, "end", 0));
    subscribers.push(subscriber);
  }
  const publisher = await connected("p");
  const stream = bytesOf(...play.publishes);
  let at = 0;
  for (const cut of play.cuts) {
    publisher.socket.write(stream.subarray(at, at + cut));
    at += cut;
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (at < stream.length) publisher.socket.write(stream.subarray(at));
  const delivered = subscribers.map((subscriber) => deliveries(subscriber, play.publishes));
  const told = await acknowledgements(publisher, play.publishes);
  publisher.send({ ...END, qos: 1, messageId: 1 });
  await publisher.told(1);
  publisher.send(END);
  const seen = { told, delivered: await Promise.all(delivered) };
  for (const device of devices) device.socket.destroy();
  return seen;
}

async function acknowledgements(publisher: Device, publishes: readonly IPublishPacket[]) {
  const told: Record<string, (number | undefined)[]> = {};
  const exactlyOnce = publishes.filter((publish) => publish.qos === 2).length;
  const atLeastOnce = publishes.filter((publish) => publish.qos === 1).length;
  for (let left = atLeastOnce + 2 * exactlyOnce; left > 0; left -= 1) {
    const packet = await publisher.receive();
    if (!packet) throw new Error("the publisher was closed");
    told[packet.cmd] = [...(told[packet.cmd] ?? []), packet.messageId];
    if (packet.cmd === "pubrec")
      publisher.send({ cmd: "pubrel", messageId: packet.messageId ?? 0 });
  }
  return told;
}

async function deliveries(
  subscriber: Device,
  publishes: readonly IPublishPacket[],
): Promise<Record<string, string[]>> {
  const delivered: Record<string, string[]> = {};
  for (let ends = 0; ends < 2; ) {
    const packet = await subscriber.receive();
    if (!packet) throw new Error("a subscriber was closed");
    if (packet.cmd === "pubrel") answer(subscriber, "pubcomp", packet);
    if (packet.cmd !== "publish") continue;
    if (packet.qos === 1) answer(subscriber, "puback", packet);
    if (packet.qos === 2) answer(subscriber, "pubrec", packet);
    // Retained in the run before; it comes with the subscription, and is not what this one is about.
    if (packet.retain) continue;
    if (packet.topic === "end") {
      ends += 1;
      continue;
    }
    const sent = publishes[Number(packet.payload) - 1];
    const key = keyOf(packet.topic, sent?.qos);
    delivered[key] = [...(delivered[key] ?? []), String(packet.payload)];
  }
  return delivered;
}

function answer(device: Device, cmd: "puback" | "pubrec" | "pubcomp", { messageId }: Packet): void {
  device.send({ cmd, messageId: messageId ?? 0 });
}

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
});

test("random scripts are answered as by bare aedes, and delivered whole and in order", async () => {
  const { broker, stop } = await startBroker();
  cleanups.push(stop);
  const aedes = await Aedes.createBroker({ queueLimit: 1000 });
  const server = createServer({ noDelay: true }, (socket) => void aedes.handle(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => aedes.close(() => server.close(resolve))));
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  let run = 0;
  await fc.assert(
    fc.asyncProperty(script, async (one) => {
      run += 1;
      const [ours, theirs] = await Promise.all([play(broker.port, run, one), play(port, run, one)]);
      expect(ours.told).toEqual(inOrder(theirs.told));
      const wanted = one.filters.map(({ filter }) => matching(one, filter));
      expect(ours.delivered).toEqual(wanted);
      // Bare aedes loses what was overtaken in it, and sends nothing else.
      for (const [i, delivered] of theirs.delivered.entries()) {
        for (const [key, payloads] of Object.entries(delivered)) {
          expect(wanted[i]?.[key]).toEqual(expect.arrayContaining(payloads));
        }
      }
    }),
    { numRuns: 60 },
  );
});
