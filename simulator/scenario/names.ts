/** How many devices of which group hang on which gateway, and what they and the gateways are called. */
import { nameFault } from "../../gateway/mqtt/routes.ts";
import type { Report } from "../../rules/yaml-file.ts";
import { MAX_COUNT } from "./fields.ts";
import type { RawDevice, RawGateway } from "./schema.ts";

export interface NamedGateway {
  readonly raw: RawGateway;
  /** Its group in the scenario. */
  readonly index: number;
  /** Its id. */
  readonly name: string;
  /** Unique, also where several have one id; its devices are called after it. */
  readonly label: string;
  readonly devices: readonly NamedDevice[];
}

export interface NamedDevice {
  readonly raw: RawDevice;
  readonly index: number;
  readonly name: string;
}

/**
 * @param wanted this many devices in all, each group growing or shrinking by the same share
 */
export function named(
  groups: readonly RawGateway[],
  wanted: number | undefined,
  report: Report,
): NamedGateway[] {
  const gateways = groups.flatMap((raw, index) => {
    const { count = 1, cloned = false } = raw;
    return Array.from({ length: count }, (_, at) => {
      const label = count > 1 ? `${raw.name}-${at + 1}` : raw.name;
      return { raw, index, name: cloned ? raw.name : label, label };
    });
  });
  refuseSame(
    gateways.map(({ label, index }) => [label, ["gateways", index, "name"]]),
    (name) => `two gateways are called "${name}"; give each group a name of its own`,
    report,
  );
  const counts = shared(
    gateways.flatMap(({ raw }) => (raw.devices ?? []).map(({ count = 1 }) => count)),
    wanted,
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total > MAX_COUNT) {
    report(["gateways"], `there are ${total} devices in all; ${MAX_COUNT} is the most that can be`);
    return [];
  }
  let next = 0;
  const made = gateways.map(({ raw, index, name, label }) => {
    const devices = (raw.devices ?? []).flatMap((device, at) => {
      const pattern = patternOf(device, groups.length > 1 || (groups[0]?.count ?? 1) > 1);
      const length = counts[next++] ?? 0;
      return Array.from({ length }, (_, number) => ({
        raw: device,
        index: at,
        name: pattern.replaceAll("{gateway}", label).replaceAll("{n}", `${number + 1}`),
      }));
    });
    return { raw, index, name, label, devices };
  });
  for (const [index, group] of groups.entries()) checkPatterns(group, index, report);
  refuseSame(
    made.flatMap(({ index, devices }) =>
      devices.map((device) => [
        device.name,
        [
          "gateways",
          index,
          "devices",
          device.index,
          device.raw.name === undefined ? "kind" : "name",
        ],
      ]),
    ),
    (name) =>
      `two devices would be called "${name}"; give one group another name, or put {gateway} or {n} into it`,
    report,
  );
  return made;
}

function patternOf(device: RawDevice, several: boolean): string {
  const { name = device.kind ?? "device", count = 1 } = device;
  if (/[{}]/.test(name)) return name;
  const numbered = device.name === undefined || count > 1 ? `${name}-{n}` : name;
  return several ? `{gateway}-${numbered}` : numbered;
}

function checkPatterns({ devices = [] }: RawGateway, index: number, report: Report): void {
  for (const [at, { name = "" }] of devices.entries()) {
    const rest = name.replaceAll(/\{(n|gateway)\}/g, "");
    const fault = nameFault(`${rest}1`);
    const path = ["gateways", index, "devices", at, "name"];
    if (/[{}]/.test(rest)) report(path, `name is "${name}"; in braces can stand {n} and {gateway}`);
    else if (fault) report(path, fault);
  }
}

/** Largest remainders: the counts keep their shares as well as whole numbers can. */
function shared(counts: readonly number[], wanted: number | undefined): readonly number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (wanted === undefined || total === 0) return counts;
  const exact = counts.map((count) => (count * wanted) / total);
  const whole = exact.map(Math.floor);
  const left = wanted - whole.reduce((sum, count) => sum + count, 0);
  const order = exact
    .map((value, index) => ({ index, rest: value - Math.floor(value) }))
    .sort((a, b) => b.rest - a.rest || a.index - b.index);
  for (const { index } of order.slice(0, left)) whole[index] = (whole[index] ?? 0) + 1;
  return whole;
}

function refuseSame(
  names: readonly (readonly [string, readonly (string | number)[]])[],
  message: (name: string) => string,
  report: Report,
): void {
  const seen = new Set<string>();
  const told = new Set<string>();
  for (const [name, path] of names) {
    const place = path.join("/");
    // One fault for each group, not for each of its thousand devices.
    if (seen.has(name) && !told.has(place)) {
      report(path, message(name));
      told.add(place);
    }
    seen.add(name);
  }
}
