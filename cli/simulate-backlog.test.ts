import { describe, expect, test } from "vitest";
import type { RunVerdict } from "../simulator/verify.ts";
import type { OpenedLog } from "./open-log.ts";
import { type Backlog, Progress, unfinished } from "./simulate-backlog.ts";

const backlog = (onTheWay: number, ...lags: number[]): Backlog => ({
  onTheWay: new Map([["g", onTheWay]]),
  behind: new Map(lags.map((lag, at) => [`topology-${at}`, lag])),
});

test("a backlog moves where one of its parts goes down, and not where ticks come and go", () => {
  const progress = new Progress();
  expect(progress.moved(backlog(1000, 500, 500))).toBe(true);
  // More comes in than goes out, and still something goes.
  expect(progress.moved(backlog(990, 600, 600))).toBe(true);
  expect(progress.moved(backlog(990, 700, 600))).toBe(false);
  expect(progress.moved(backlog(990, 650, 600))).toBe(true);
  expect(progress.moved(backlog(990, 650, 0))).toBe(true);
  expect(progress.moved(backlog(990, 650, 4))).toBe(false);
  expect(progress.moved(backlog(990, 650, 0))).toBe(false);
});

describe("told from a loss", () => {
  const NONE = { missing: 0, surplus: 0, changed: 0, unknown: 0, rollups: 0, alerts: 0 };
  const verdict = (counts: Partial<typeof NONE>, gateways = ["g"]) =>
    ({ ok: false, counts: { ...NONE, ...counts }, gateways }) as unknown as RunVerdict;
  const log = (onTheWay: Record<string, number>, lag: Record<string, number>) =>
    ({
      still: true,
      lag: async () => new Map(Object.entries(lag)),
      audit: async () => ({
        rows: Object.entries(onTheWay).map(([gateway, count]) => ({ gateway, onTheWay: count })),
      }),
    }) as unknown as OpenedLog;

  test("what is not processed, and what gateways of the run hold", async () => {
    const waits = log({ g: 5, other: 7 }, { rollups: 3, alerts: 0 });
    expect(await unfinished(waits, verdict({ missing: 2 }))).toEqual({
      behind: [["rollups", 3]],
      onTheWay: [["g", 5]],
    });
    // Whose run it is, nobody knows: nothing of it has arrived.
    expect((await unfinished(waits, verdict({ missing: 2 }, [])))?.onTheWay).toHaveLength(2);
  });

  test("nothing is under way, or not in a way that would mend it", async () => {
    expect(await unfinished(log({ g: 0 }, { rollups: 0 }), verdict({ missing: 2 }))).toBe(
      undefined,
    );
    expect(await unfinished(log({ other: 7 }, { rollups: 0 }), verdict({ missing: 2 }))).toBe(
      undefined,
    );
    expect(await unfinished(log({ g: 5 }, { rollups: 0 }), verdict({ rollups: 2 }))).toBe(
      undefined,
    );
    expect(await unfinished(log({ g: 5 }, { rollups: 9 }), verdict({ surplus: 1 }))).toBe(
      undefined,
    );
    const good = { ...verdict({}), ok: true };
    expect(await unfinished(log({ g: 0 }, { rollups: 9 }), good)).toBe(undefined);
  });
});
