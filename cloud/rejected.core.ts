/**
 * What a processor could not read or take, as an event with position and reason. Pure.
 *
 * Every fault has exactly one topology that reports it, or one bad record would be told four times: the ledger for
 * headers and for what it decodes itself (epoch, loss, rejected payload, status), the rollups for readings, the alerts
 * for heartbeats.
 */
import { MAX_REJECTED_PAYLOAD_BYTES } from "../events/limits.ts";
import type { RejectedRecord } from "../events/schema.ts";
import type { Output, StoredRecord } from "../stream/port.ts";
import type { Fault } from "./journal.core.ts";

export function rejected(
  target: { readonly topology: string; readonly topic: string },
  record: StoredRecord,
  fault: Fault,
): Output {
  const { topic, partition, offset, value } = record;
  const event: RejectedRecord = {
    topology: target.topology,
    topic,
    partition,
    offset,
    code: fault.code,
    message: fault.message,
    // A larger one is looked up at its position.
    ...(value && value.length <= MAX_REJECTED_PAYLOAD_BYTES ? { value } : {}),
  };
  return {
    topic: target.topic,
    key: `${topic}/${partition}`,
    type: "tidegate.rejected-record",
    id: `${topic}/${partition}/${offset}`,
    time: record.timestamp,
    event,
  };
}
