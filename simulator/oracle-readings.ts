/**
 * What the readings topic must hold: each reading of the journals that can be read, once, under its device's key, a device's in the
 * order of its gateway's journal. It shares no code with the product's processing.
 */
import { isDeepStrictEqual } from "node:util";
import type { DeviceReading, Reading } from "../events/schema.ts";
import { distinctEvents, type JournalEvent, type JournalRecord } from "./oracle-journal.ts";

/** A record of the readings topic, decoded. */
export interface ReadingRecord {
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: DeviceReading;
}

/** @param records the events topic, partition by partition in the order of the log */
export function expectedReadings(records: Iterable<JournalRecord>): ReadingRecord[] {
  return distinctEvents(records)
    .filter(({ type, record, data }) => {
      return type === "tidegate.reading" && !record.fault && data !== undefined;
    })
    .map((event) => expected(event as JournalEvent<Reading>));
}

function expected({ gateway, epoch, sequence, id, data, record }: JournalEvent<Reading>) {
  const { device, clock, metrics, received, time } = data as Reading;
  // By the device, else by the gateway; a gateway that does not know the time can say no more than when it sent.
  const at = time ?? (clock === "unsynced" ? record.timestamp : received);
  const part = device.replaceAll("%", "%25").replaceAll("/", "%2F");
  return {
    key: `${gateway}/${part}`,
    headers: { ce_id: `${gateway}/${id}`, ce_type: "tidegate.device-reading" },
    data: { gateway, device, time: at, clock, metrics, received, epoch, sequence },
  };
}

/**
 * @param actual the readings topic, partition by partition in the order of the log
 * @returns what differs, in words; empty where all agree
 */
export function compareReadings(
  expected: Iterable<ReadingRecord>,
  actual: Iterable<ReadingRecord>,
): string[] {
  const differences: string[] = [];
  const wanted = new Map([...expected].map((one) => [one.headers.ce_id ?? "", one]));
  const places = new Map([...wanted.keys()].map((id, place) => [id, place]));
  const times = new Map<string, number>();
  const last = new Map<string, string>();
  for (const one of actual) {
    const id = one.headers.ce_id ?? "";
    times.set(id, (times.get(id) ?? 0) + 1);
    const want = wanted.get(id);
    if (!want) {
      differences.push(`${id}: no journal has it`);
      continue;
    }
    if (one.key !== want.key) differences.push(`${id}: under ${one.key}, and not ${want.key}`);
    if (one.headers.ce_type !== want.headers.ce_type) {
      differences.push(`${id}: its ce_type is ${one.headers.ce_type}`);
    }
    if (!isDeepStrictEqual(one.data, want.data)) {
      differences.push(`${id}: is ${JSON.stringify(one.data)}, not ${JSON.stringify(want.data)}`);
    }
    const before = last.get(want.key ?? "");
    if (before !== undefined && (places.get(before) ?? 0) > (places.get(id) ?? 0)) {
      differences.push(`${id}: stands behind ${before}`);
    }
    last.set(want.key ?? "", id);
  }
  for (const id of wanted.keys()) {
    const count = times.get(id) ?? 0;
    if (count !== 1) differences.push(`${id}: stands ${count} times`);
  }
  return differences;
}
