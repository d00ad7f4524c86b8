/** What the log holds of a gateway's journal, read as everybody can: over the running program's HTTP port, as `tidegate tail` does. */
import type { RecordJson } from "../../cli/record-json.ts";
import { parseEventId } from "../../events/ids.ts";

interface At {
  readonly gateway: string;
  readonly epoch: string;
  readonly sequence: number;
}

export interface JournalReading extends At {
  readonly type: "reading";
  readonly device: string;
  readonly content: Readonly<Record<string, unknown>>;
}

export interface JournalLoss extends At {
  readonly type: "loss";
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

export interface JournalEpoch extends At {
  readonly type: "epoch";
  readonly reason: string;
  readonly previous?: { readonly epoch: string; readonly highest: number };
}

/** Heartbeats and whatever else the gateway says of itself. */
export interface JournalOther extends At {
  readonly type: "other";
  readonly name: string;
}

/** In the order of the log, with what stands in it twice. */
export type JournalEvent = JournalReading | JournalLoss | JournalEpoch | JournalOther;

/** @param base the program's address, `http://…` */
export async function readJournal(base: URL): Promise<JournalEvent[]> {
  const records = (await recordsOf(base, "events")).filter((r) => r.type !== "tidegate.tick");
  return records.map(eventOf);
}

/** Readings that the rollups count, by device; one metric, so that a reading counts once. */
export async function readRollupCounts(base: URL): Promise<ReadonlyMap<string, number>> {
  const newest = new Map<string, RecordJson>();
  for (const record of await recordsOf(base, "rollups")) {
    if (record.key !== null) newest.set(record.key, record);
  }
  const counts = new Map<string, number>();
  for (const { data } of newest.values()) {
    if (data === null) continue;
    const { device, metric, resolution, count } = data as Record<string, string | number>;
    if (metric !== "n" || resolution !== "1m") continue;
    counts.set(String(device), (counts.get(String(device)) ?? 0) + Number(count));
  }
  return counts;
}

async function recordsOf(base: URL, topic: string): Promise<RecordJson[]> {
  const response = await fetch(new URL(`/api/v1/log/${topic}?all=true&follow=false`, base));
  // Nothing has been written to it yet.
  if (response.status === 404) return [];
  if (!response.ok) throw new Error(`${topic} answered ${response.status}`);
  return (await response.text())
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as RecordJson);
}

export function eventOf(record: RecordJson): JournalEvent {
  const id = parseEventId(record.id ?? "");
  if (!id || record.key === null) throw new Error(`not an event: ${JSON.stringify(record)}`);
  const at = { gateway: record.key, epoch: String(id.epoch), sequence: id.sequence };
  const data = record.data as Record<string, unknown>;
  switch (record.type) {
    case "tidegate.reading":
      return {
        ...at,
        type: "reading",
        device: String(data.device),
        content: data.metrics as Record<string, unknown>,
      };
    case "tidegate.loss":
      return {
        ...at,
        type: "loss",
        from: Number(data.from),
        to: Number(data.to),
        reason: String(data.reason),
      };
    case "tidegate.epoch": {
      const previous = data.previous as JournalEpoch["previous"];
      return {
        ...at,
        type: "epoch",
        reason: String(data.reason),
        ...(previous ? { previous } : {}),
      };
    }
    default:
      return { ...at, type: "other", name: String(record.type) };
  }
}
