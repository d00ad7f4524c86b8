/** docs/scale.md against the arithmetic that it shows and the programs that its settings are for. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FLEETS, sizing, sizingTable, USUAL } from "../bench/sizing.core.ts";
import { loadProgram, PROGRAMS } from "../cli/programs.ts";
import { root } from "./program.ts";

const page = readFileSync(join(root, "docs", "scale.md"), "utf8");
const blocks = [...page.matchAll(/^```yaml\n# (\w+), (\d+)\n([\s\S]*?)^```$/gm)].map(
  ([, program, gateways, yaml]) => ({
    program: PROGRAMS.find((one) => one === program),
    fleet: FLEETS.find((one) => one.gateways === Number(gateways)),
    yaml: yaml ?? "",
  }),
);

test("the table is what the arithmetic comes to (npm run bench -- sizing prints it)", () => {
  const [, shown] = /<!-- sizing -->\n([\s\S]*?)\n<!-- \/sizing -->/.exec(page) ?? [];
  expect(shown).toBe(sizingTable(FLEETS));
});

test("the assumptions on the page are those of the table", () => {
  for (const [flag, value] of Object.entries({
    ...{ devices: USUAL.devices, metrics: USUAL.metrics, replicas: USUAL.replicas },
    ...{ "every-seconds": `${USUAL.everySeconds} s`, busy: USUAL.busy === 0.5 ? "half" : "?" },
    ...{ "disk-price": USUAL.diskPrice, "object-price": USUAL.objectPrice },
  })) {
    expect(page).toMatch(new RegExp(`^\\| [^|]+ \\| ${value} \\| \`--${flag}\` \\|$`, "m"));
  }
});

test("there are settings of a gateway and of the processors for each fleet", () => {
  const all = FLEETS.flatMap(({ gateways }) => [`gateway ${gateways}`, `cloud ${gateways}`]);
  const there = blocks.map(({ program, fleet }) => `${program} ${fleet?.gateways}`);
  expect(there).toEqual(expect.arrayContaining(all));
});

test.each(blocks)(
  "settings of $program for $fleet.gateways gateways are taken, and are those that the table reckons with",
  ({ program, fleet, yaml }) => {
    if (!program || !fleet) throw new Error("settings for nobody");
    const folder = mkdtempSync(join(tmpdir(), "tidegate-scale-"));
    try {
      const file = join(folder, "settings.yaml");
      writeFileSync(file, yaml);
      const settings = loadProgram(program, file, new Map());
      expect(settings.namespace === "telemetry").toBe(fleet.namespaces === 1);
      if ("forwarder" in settings) {
        expect(settings.forwarder.linger_ms).toBe(fleet.lingerSeconds * 1000);
        expect(settings.heartbeat_interval_ms).toBe(fleet.heartbeatSeconds * 1000);
        expect(settings.status_interval_ms).toBe(fleet.statusSeconds * 1000);
      }
      if ("rollups" in settings) {
        expect(settings.rollups.minute_keep_days).toBe(fleet.minuteDays);
        expect(settings.rollups.hour_keep_days).toBe(fleet.hourDays);
        expect(settings.topics.partitions).toBe(sizing(fleet).partitions);
        expect(settings.topics.replication_factor).toBe(fleet.replicas);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

describe("the arithmetic", () => {
  const of = { ...USUAL, gateways: 100, devices: 10, everySeconds: 10 };

  test("a reading a second of each gateway", () => {
    expect(sizing(of)).toMatchObject({
      ...{ devices: 1000, series: 6000, readingsPerSecond: 100, readingsPerBatch: 1 },
      ...{ wireBytes: 554, keptBytes: 410 },
      // A batch a second, a heartbeat each ten, a state each five.
      requestsPerSecond: 100 * (1 + 0.1 + 0.2),
    });
  });

  test("goes by the batches that a linger makes, between the sizes that were measured", () => {
    const [ten, thirty, many] = [10, 30, 1e6].map((lingerSeconds) =>
      sizing({ ...of, lingerSeconds }),
    );
    expect(ten?.keptBytes).toBeCloseTo(68);
    expect(thirty?.keptBytes).toBeLessThan(68);
    expect(thirty?.keptBytes).toBeGreaterThan(32);
    expect(many?.keptBytes).toBe(22);
    expect(ten?.requestsPerSecond).toBeCloseTo(100 * (0.1 + 0.2));
  });

  test("doubles with the gateways, and costs nothing less with more namespaces but for each of them", () => {
    const [one, two] = [sizing(of), sizing({ ...of, gateways: 200 })];
    for (const name of ["rawYear", "state", "rollups", "cloudCores", "connections"] as const) {
      expect(two[name]).toBeCloseTo(2 * one[name]);
    }
    const parted = sizing({ ...of, namespaces: 4 });
    expect(parted.rawYear).toBe(one.rawYear);
    expect(parted.dashboardCores).toBeCloseTo(one.dashboardCores / 4);
  });
});
