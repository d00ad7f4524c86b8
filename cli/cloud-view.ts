/** What `simulate verify` looks at: the log's topics, read as everybody can read them, decoded as far as the oracles need it. */
import type { Alert } from "../events/schema.ts";
import type { OracleRollup } from "../simulator/oracle.ts";
import type { JournalRecord } from "../simulator/oracle-journal.ts";
import type { CloudParts } from "../simulator/verify-cloud.ts";
import type { OpenedLog } from "./open-log.ts";
import type { RecordJson } from "./record-json.ts";

/** @param cloud takes what belongs to the run: a log may hold far more */
export async function readCloud(log: OpenedLog, cloud: CloudParts): Promise<void> {
  await eachRecord(log, "events", (record) => cloud.event(journalRecord(record)));
  await eachRecord(log, "alerts", ({ data }) => cloud.alert(data as Alert));
  await eachRecord(log, "rollups", ({ key, data }) => {
    if (key !== null) cloud.rollup(key, data as OracleRollup | null);
  });
  await eachRecord(log, "alert-state", ({ key, data }) => {
    if (key !== null) cloud.state(key, data as Alert | null);
  });
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
