/** What the ledger topic says, as the audit's report. */
import { type AuditReport, audit } from "../cloud/audit.core.ts";
import { decodeEvent } from "../events/codec.ts";
import { topicNames } from "../events/topics.ts";
import type { EventLog } from "../stream/port.ts";

export async function auditLog(log: EventLog, namespace: string): Promise<AuditReport> {
  const entries = [];
  for (const record of (await log.latest(topicNames(namespace).ledger)).values()) {
    if (record.value) entries.push(decodeEvent("tidegate.ledger", record.value));
  }
  return audit(entries);
}
