/** Positions that a broker says are not in its log: it may be the one that does not know. */
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { settle } from "./options.ts";
import { PartitionReader } from "./partition-reader.ts";
import type { Fetched } from "./requests.ts";
import type { Connection, KafkaSession } from "./session.ts";

const OFFSET_OUT_OF_RANGE = 1;
const WANTED = [{ topic: "t", partition: 0, position: 50 }];
const NOTHING = { topic: "t", partition: 0, end: 60, aborted: [], recordSet: Buffer.alloc(0) };

/** Brokers that say in turn where their log begins and ends; undefined has what is asked for. */
function reader(...logs: (readonly [start: number, end: number] | undefined)[]): PartitionReader {
  const settings = settle({ brokers: ["a:1"], clientId: "t", logger: pino({ level: "silent" }) });
  let log: (typeof logs)[number];
  const connection = {
    leaderId: () => "1",
    send: async (): Promise<readonly Fetched[]> => {
      log = logs.shift();
      return [{ ...NOTHING, errorCode: log ? OFFSET_OUT_OF_RANGE : 0 }];
    },
    ranges: async () => [{ topic: "t", partition: 0, start: log?.[0] ?? 0, end: log?.[1] ?? 0 }],
  };
  const session: Pick<KafkaSession, "use"> = {
    use: (_topics, work) => work(connection as unknown as Connection),
  };
  return new PartitionReader(settings, session as KafkaSession);
}

const { signal } = new AbortController();
const poll = async (of: PartitionReader) => (await of.poll(WANTED, signal))[0]?.next;

describe("a position that is not in the log", () => {
  test("was deleted where the log begins behind it: reading goes on at the start", async () => {
    expect(await poll(reader([55, 90]))).toBe(55);
  });

  test("beyond the end is of a broker that lacks something, as long as others have it", async () => {
    const of = reader([0, 40], [0, 40], undefined, [0, 40], [0, 40], undefined);
    for (let round = 0; round < 2; round++) {
      await expect(poll(of)).rejects.toMatchObject({ name: "StaleLeaderFault" });
      await expect(poll(of)).rejects.toMatchObject({ name: "StaleLeaderFault" });
      expect(await poll(of)).toBe(50);
    }
  });

  test("beyond the end whoever is asked is of a topic that was made anew", async () => {
    const of = reader([0, 40], [0, 40], [0, 40]);
    await expect(poll(of)).rejects.toMatchObject({ name: "StaleLeaderFault" });
    await expect(poll(of)).rejects.toMatchObject({ name: "StaleLeaderFault" });
    expect(await poll(of)).toBe(0);
  });
});
