/** What `simulate verify` looks at: the log's topics, read as everybody can read them, decoded as far as the oracles need it. */
import type { Alert } from "../events/schema.ts";
import type { OracleRollup } from "../simulator/oracle.ts";
import type { JournalRecord } from "../simulator/oracle-journal.ts";
import type { CloudView } from "../simulator/verify.ts";
import type { OpenedLog } from "./open-log.ts";
import type { RecordJson } from "./record-json.ts";

/** @param devices readings of others are left out: a log may hold far more of them */
export async function readCloud(
  log: OpenedLog,
  devices: ReadonlySet<string>,
  keepHours: CloudView["keepHours"],
): Promise<CloudView> {
  const journal: JournalRecord[] = [];
  await eachRecord(log, "events", (record) => {
    if (record.type === "tidegate.tick") return;
    const { device } = (record.data ?? {}) as { readonly device?: string };
    if (record.type === "tidegate.reading" && !devices.has(device ?? "")) return;
    journal.push(journalRecord(record));
  });
  const alerts: Alert[] = [];
  await eachRecord(log, "alerts", ({ data }) => alerts.push(data as Alert));
  const rollups = await newest<OracleRollup>(log, "rollups");
  const states = await newest<Alert>(log, "alert-state");
  return { journal, rollups, alerts, states, keepHours };
}

/** The newest value of each key. */
async function newest<Value>(log: OpenedLog, entity: string): Promise<Value[]> {
  const found = new Map<string, Value>();
  await eachRecord(log, entity, ({ key, data }) => {
    if (key === null) return;
    if (data === null) found.delete(key);
    else found.set(key, data as Value);
  });
  return [...found.values()];
}

/** A topic that nobody has made yet holds nothing. */
async function eachRecord(
  log: OpenedLog,
  entity: string,
  take: (record: RecordJson) => void,
): Promise<void> {
  const request = { last: Number.POSITIVE_INFINITY, follow: false };
  let rest = "";
  try {
    await log.tail(entity, request, new AbortController().signal, async (text) => {
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(JSON.parse(line) as RecordJson);
    });
  } catch (error) {
    if ((error as { code?: string }).code !== "unknown_topic") throw error;
  }
}

function journalRecord(record: RecordJson): JournalRecord {
  const { key, partition, offset, sent, type = "", id, source, time, data } = record;
  const named = { ce_type: type, ce_id: id, ce_source: source, ce_time: time };
  const headers = Object.entries(named).filter((entry): entry is [string, string] => {
    return entry[1] !== undefined;
  });
  return {
    key,
    partition,
    offset,
    timestamp: Date.parse(sent),
    headers: Object.fromEntries(headers),
    type,
    data: record.error === undefined ? (data ?? undefined) : undefined,
  };
}
