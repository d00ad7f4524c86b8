/**
 * What the devices topic must say in the end: of each device how many readings there were, the newest value of each metric,
 * when it was last seen. It shares no code with the product's processing.
 *
 * Where the device gave the time, what is older than what is there says nothing; where the gateway gave it, the order of the
 * journal is the order of time. What no clock dated is shown as no earlier than what came before it. A time of more than a
 * day ahead of every clock was a mistake, and anything takes its place.
 */
import type { Device, Reading } from "../events/schema.ts";
import { DAY_MS, isTimeless, latestAt, takenTime } from "./oracle-clock.ts";
import { distinctEvents, type JournalEvent, type JournalRecord } from "./oracle-journal.ts";

/** A value with its time, and the latest time it could have had when it came. */
interface Told {
  readonly value: Device["metrics"][string]["value"];
  readonly time: number;
  readonly byDevice: boolean;
  readonly latest: number;
}

/** @param records the events topic in the order of the log. Devices of more metrics than fit a record are not told of */
export function expectedDevices(records: Iterable<JournalRecord>): Device[] {
  const readings = distinctEvents(records).filter(
    ({ type, data }) => type === "tidegate.reading" && data !== undefined,
  );
  const devices = Map.groupBy(readings, ({ gateway, data }) =>
    JSON.stringify([gateway, (data as Reading).device]),
  );
  return [...devices.values()].map((own): Device => {
    const metrics = new Map<string, Told[]>();
    const seen: Told[] = [];
    for (const { data, record } of own) {
      const reading = data as Reading;
      const known = takenTime(reading, record);
      const before = isTimeless(reading) ? standing(seen)?.time : undefined;
      const time = Math.max(known, before ?? known);
      const of = { time, byDevice: reading.time !== undefined, latest: latestAt(reading, record) };
      seen.push({ value: true, ...of });
      for (const [metric, value] of Object.entries(reading.metrics)) {
        const told = metrics.get(metric) ?? [];
        told.push({ value, ...of });
        metrics.set(metric, told);
        // Of what was told only the one that stands matters to what comes.
        metrics.set(metric, [standing(told) as Told]);
      }
      seen.splice(0, seen.length, standing(seen) as Told);
    }
    const [first] = own as [JournalEvent];
    return {
      gateway: first.gateway,
      device: (first.data as Reading).device,
      last_seen: standing(seen)?.time ?? Number.NaN,
      readings: own.length,
      metrics: Object.fromEntries(
        [...metrics].map(([name, told]) => {
          const { value, time } = standing(told) as Told;
          return [name, { value, time }];
        }),
      ),
    };
  });
}

/** Of what was told in this order, what stands. */
function standing(told: readonly Told[]): Told | undefined {
  return told.reduce<Told | undefined>((stands, one) => {
    if (!stands || !one.byDevice || one.time >= stands.time) return one;
    return stands.time > one.latest + DAY_MS ? one : stands;
  }, undefined);
}

export interface DeviceDifference {
  readonly key: string;
  readonly expected?: Device;
  readonly actual?: Device;
}

/** @param actual one for each device, the newest. @returns what differs; empty where all agree */
export function compareDevices(
  expected: Iterable<Device>,
  actual: Iterable<Device>,
): DeviceDifference[] {
  const keyOf = ({ gateway, device }: Device) => JSON.stringify([gateway, device]);
  const wanted = new Map([...expected].map((one) => [keyOf(one), one]));
  const got = new Map([...actual].map((one) => [keyOf(one), one]));
  return [...new Set([...wanted.keys(), ...got.keys()])].flatMap((key) => {
    const [one, other] = [wanted.get(key), got.get(key)];
    if (one && other && words(one) === words(other)) return [];
    return [{ key, ...(one ? { expected: one } : {}), ...(other ? { actual: other } : {}) }];
  });
}

function words({ last_seen, readings, metrics }: Device): string {
  const sorted = Object.entries(metrics).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    last_seen,
    readings,
    sorted.map(([name, { value, time }]) => [name, value, time]),
  ]);
}
