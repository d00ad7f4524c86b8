/**
 * The oracle against figures that came from elsewhere (computed from the same files with Python's csv and math.fsum),
 * and the two readers of CSV, which share no code, against each other.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { expectedRollups } from "../simulator/oracle.ts";
import { csvReadings } from "../simulator/oracle-csv.ts";
import { RecordingFile } from "../simulator/recording-file.ts";

const folder = join(import.meta.dirname, "fixtures", "recordings");
const path = (name: string) => join(folder, `${name}.csv`);
const oracle = (name: string) => csvReadings(readFileSync(path(name), "utf8"), "g", name);

function hours(name: string) {
  return expectedRollups(oracle(name)).filter(({ resolution }) => resolution === "1h");
}

describe("the oracle on real recordings", () => {
  test("office occupancy", () => {
    const rollups = hours("office-occupancy");
    expect(rollups).toHaveLength(822);
    expect(rollups.reduce((total, { count }) => total + count, 0)).toBe(48_858);
    const at = (metric: string, window: number) =>
      rollups.find((rollup) => rollup.metric === metric && rollup.window === window);
    const evening = at("Temperature", Date.UTC(2015, 1, 4, 19));
    expect(evening).toMatchObject({ count: 61, min: 21.79, max: 22.29 });
    expect((evening?.sum ?? 0) / 61).toBeCloseTo(22.065054644808747, 12);
    const last = at("Occupancy", Date.UTC(2015, 1, 10, 9));
    expect(last).toMatchObject({ count: 34, min: 1, max: 1, sum: 34 });
  });

  test("ambient temperature", () => {
    const rollups = hours("ambient-temperature");
    expect(rollups).toHaveLength(7267);
    expect(rollups[0]).toMatchObject({ window: Date.UTC(2013, 6, 4), count: 1, min: 69.88083514 });
    expect(rollups.at(-1)).toMatchObject({ window: Date.UTC(2014, 4, 28, 15), sum: 72.58408858 });
  });

  test.each([
    ["office-occupancy", 8143],
    ["ambient-temperature", 7267],
  ])("the replay reads %s as the oracle does", async (name, rows) => {
    const file = new RecordingFile(path(name));
    expect(await file.check()).toMatchObject({ rows, skipped: 0 });
    const readings = [];
    for await (const reading of file.readings()) readings.push(reading);
    expect(readings).toEqual(oracle(name).map(({ time, metrics }) => ({ time, metrics })));
  });
});
