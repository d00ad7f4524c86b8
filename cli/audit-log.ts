/**
 * What the ledger topic says, as the audit's report.
 *
 * What a gateway claims to have accepted is taken from its status too, which it sends past any backlog: a ledger whose
 * processor is behind must not look complete.
 */
import { type AuditReport, audit } from "../cloud/audit.core.ts";
import { decodeEvent } from "../events/codec.ts";
import type { GatewayStatus, LedgerEntry } from "../events/schema.ts";
import { topicNames } from "../events/topics.ts";
import type { EventLog } from "../stream/port.ts";

export async function auditLog(log: EventLog, namespace: string): Promise<AuditReport> {
  const topics = topicNames(namespace);
  const entries: LedgerEntry[] = [];
  for (const { value } of (await log.latest(topics.ledger)).values()) {
    if (value) entries.push(decodeEvent("tidegate.ledger", value));
  }
  const statuses: GatewayStatus[] = [];
  for (const { value } of (await log.latest(topics.status)).values()) {
    if (value) statuses.push(decodeEvent("tidegate.gateway-status", value));
  }
  return audit(withClaims(entries, statuses));
}

/** The entries with what the gateways claim now; an epoch of which nothing has arrived yet gets an entry too. */
export function withClaims(
  entries: readonly LedgerEntry[],
  statuses: readonly GatewayStatus[],
): LedgerEntry[] {
  const claimed = [...entries];
  for (const { gateway, epoch, accepted } of statuses) {
    const at = claimed.findIndex((entry) => entry.gateway === gateway && entry.epoch === epoch);
    const entry = claimed[at];
    if (entry) claimed[at] = { ...entry, accepted: Math.max(entry.accepted, accepted) };
    else {
      const none = { received: [], declared_lost: [], missing: [], duplicates: 0 };
      claimed.push({ gateway, epoch, accepted, ...none });
    }
  }
  return claimed;
}
