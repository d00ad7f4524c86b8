/**
 * The ledger of a run against the events topic: is everything that was acknowledged there, and nothing there more often
 * than it was sent?
 *
 * A message is known by device, device time and content. Rows of a recording can be alike in all three, so each is
 * counted, not merely looked up. It reads the ledger by itself and shares no code with what wrote it.
 */
import { readFileSync } from "node:fs";
import type { MetricValue } from "../events/schema.ts";
import type { OracleReading } from "./oracle.ts";

/** A reading as it stands in the events topic. */
export interface ArrivedReading extends OracleReading {
  /** Event id, `epoch-sequence`: unique within the gateway. */
  readonly id: string;
}

export interface LedgerMessage {
  readonly device: string;
  readonly time: number;
  readonly metrics: Readonly<Record<string, MetricValue>>;
  /** How often it was written to a socket. */
  writes: number;
  acknowledged: boolean;
}

export interface SentLedger {
  readonly messages: readonly LedgerMessage[];
  /** Given up by the devices before they were ever sent. */
  readonly dropped: number;
  /** The run came to its end; otherwise the ledger's last moments may be missing. */
  readonly complete: boolean;
}

export interface LedgerVerdict {
  /** Nothing missing, changed, surplus or unknown. */
  readonly ok: boolean;
  readonly sent: number;
  readonly acknowledged: number;
  /** Distinct events that belong to a message of the ledger. */
  readonly arrived: number;
  /** Distinct events beyond the first of a message that was written more than once: at-least-once at work. */
  readonly resentArrived: number;
  /** Records with an id that was there before; processors drop them. */
  readonly redelivered: number;
  /** Acknowledged, and not there. */
  readonly missing: readonly LedgerMessage[];
  /** More distinct events than the message was written. */
  readonly surplus: readonly { readonly message: LedgerMessage; readonly times: number }[];
  /** There under a device and time that were sent, but with another content. */
  readonly changed: readonly {
    readonly message: LedgerMessage;
    readonly arrived: ArrivedReading;
  }[];
  /** There, and not in the ledger at all. */
  readonly unknown: readonly ArrivedReading[];
}

/** Each event once, by gateway and id, in the order of the first. */
export function distinctReadings(records: Iterable<ArrivedReading>): ArrivedReading[] {
  const distinct = new Map<string, ArrivedReading>();
  for (const record of records) {
    const key = `${record.gateway} ${record.id}`;
    if (!distinct.has(key)) distinct.set(key, record);
  }
  return [...distinct.values()];
}

/** @throws where a line that is not the last cannot be read, or a line speaks of a message that was never sent */
export function readLedger(file: string): SentLedger {
  return parseLedger(readFileSync(file, "utf8"));
}

export function parseLedger(text: string): SentLedger {
  const lines = text.split("\n");
  // What follows the last line break is nothing, or a line that a kill cut off.
  lines.pop();
  const messages = new Map<number, LedgerMessage>();
  let dropped = 0;
  let complete = false;
  for (const [index, line] of lines.entries()) {
    const entry = JSON.parse(line);
    const message = () => {
      const known = messages.get(entry.n);
      if (!known) throw new Error(`ledger line ${index + 1}: message ${entry.n} was never sent`);
      return known;
    };
    if (index === 0 && (entry.t !== "ledger" || entry.version !== 1)) {
      throw new Error("not a ledger of version 1");
    }
    switch (entry.t) {
      case "ledger":
        break;
      case "sent":
        messages.set(entry.n, {
          device: entry.d,
          time: entry.time,
          metrics: entry.m,
          writes: 1,
          acknowledged: false,
        });
        break;
      case "resent":
        message().writes += 1;
        break;
      case "ack":
        message().acknowledged = true;
        break;
      case "dropped":
        dropped += entry.count;
        break;
      case "end":
        complete = true;
        break;
      default:
        throw new Error(`ledger line ${index + 1}: unknown ${JSON.stringify(entry.t)}`);
    }
  }
  return { messages: [...messages.values()], dropped, complete };
}

/**
 * @param records the readings of the events topic, duplicates included; only the devices of the ledger, or `unknown` will
 * hold the others
 */
export function checkLedger(
  ledger: Pick<SentLedger, "messages">,
  records: Iterable<ArrivedReading>,
): LedgerVerdict {
  const all = [...records];
  const distinct = distinctReadings(all);
  const sent = groups(ledger.messages);
  const arrived = groups(distinct);

  const missing: LedgerMessage[] = [];
  const surplus: { message: LedgerMessage; times: number }[] = [];
  let resentArrived = 0;
  for (const [key, messages] of sent) {
    const times = arrived.get(key)?.length ?? 0;
    const acknowledged = messages.filter((message) => message.acknowledged);
    missing.push(...acknowledged.slice(times));
    const writes = messages.reduce((total, message) => total + message.writes, 0);
    const [message] = messages;
    if (message && times > writes) surplus.push({ message, times });
    resentArrived += Math.max(0, Math.min(times, writes) - messages.length);
  }

  const strangers = distinct.filter((reading) => !sent.has(identity(reading)));
  const byMoment = new Map(ledger.messages.map((message) => [moment(message), message]));
  const changed: { message: LedgerMessage; arrived: ArrivedReading }[] = [];
  const unknown: ArrivedReading[] = [];
  for (const reading of strangers) {
    const message = byMoment.get(moment(reading));
    if (message) changed.push({ message, arrived: reading });
    else unknown.push(reading);
  }
  return {
    ok: missing.length + surplus.length + changed.length + unknown.length === 0,
    sent: ledger.messages.length,
    acknowledged: ledger.messages.filter((message) => message.acknowledged).length,
    arrived: distinct.length - strangers.length,
    resentArrived,
    redelivered: all.length - distinct.length,
    missing,
    surplus,
    changed,
    unknown,
  };
}

interface Identified {
  readonly device: string;
  readonly time: number;
  readonly metrics: Readonly<Record<string, MetricValue>>;
}

function moment({ device, time }: Identified): string {
  return JSON.stringify([device, time]);
}

function identity({ device, time, metrics }: Identified): string {
  const content = Object.entries(metrics).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([device, time, content]);
}

function groups<Item extends Identified>(items: Iterable<Item>): Map<string, Item[]> {
  const found = new Map<string, Item[]>();
  for (const item of items) {
    const key = identity(item);
    const group = found.get(key);
    if (group) group.push(item);
    else found.set(key, [item]);
  }
  return found;
}
