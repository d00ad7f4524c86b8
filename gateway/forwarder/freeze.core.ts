/**
 * From buffered events to the batch that is sent, and sent again unchanged until the log has it. Pure.
 *
 * Here events get their true times. What a boot's clock showed may turn out wrong as long as the event is in the buffer:
 * then `received` becomes the boot's offset plus the event's uptime, and `clock` says `restamped`. A time that the device
 * gave stays. Where nothing better is known the event goes as it is. Order never depends on any of this.
 */
import { eventHeaders } from "../../events/cloudevents.ts";
import { eventId, type GatewayId, gatewaySource } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import { readStamp, restamped } from "../../events/stamp.ts";
import type { FrozenBatch, LogRecord } from "../../stream/port.ts";
import type { BufferedEvent } from "../buffer/port.ts";

export interface Journal {
  /** Of epochs that have no owner of their own. */
  readonly gateway: GatewayId;
  readonly topic: string;
}

/** What is known of time, boot by boot. */
export interface Offsets {
  /** Right wall time minus uptime, ms; undefined where it is not known. */
  offsetOf(boot: string): number | undefined;
}

/** A time of receipt is put right where it is off by more than this, ms: less is slewing and rounding. */
const TOLERANCE_MS = 2000;

/**
 * One record for each event, keyed by gateway: a gateway is one ordered journal in one partition.
 * @param events of one epoch, and so of one gateway
 */
export function freeze(
  journal: Journal,
  events: readonly BufferedEvent[],
  offsets: Offsets,
): FrozenBatch {
  const gateway = events[0]?.gateway ?? journal.gateway;
  const source = gatewaySource(gateway);
  return {
    topic: journal.topic,
    key: gateway,
    records: events.map((event) => record(gateway, source, event, offsets)),
  };
}

function record(
  gateway: GatewayId,
  source: string,
  event: BufferedEvent,
  offsets: Offsets,
): LogRecord {
  const { type, epoch, sequence } = event;
  const stamp = readStamp(event.value);
  const received = stamp && rightTime(stamp, offsets);
  const value = received === undefined ? event.value : restamped(event.value, received);
  const time = received === undefined || stamp?.clock === "device" ? event.time : received;
  return {
    key: gateway,
    headers: { ...eventHeaders(type, eventId(epoch, sequence), source, time) },
    value,
  };
}

/** @returns undefined where the stamp is right, or nothing better is known */
function rightTime(stamp: Stamp, offsets: Offsets): number | undefined {
  const offset = offsets.offsetOf(stamp.boot);
  if (offset === undefined) return undefined;
  const right = Math.round(offset + stamp.uptime);
  const wrong = stamp.clock === "unsynced" || Math.abs(right - stamp.received) > TOLERANCE_MS;
  return wrong ? right : undefined;
}

/**
 * How many of the events may be sent: those of one epoch, so that the log's end of the journal says which of a batch that
 * comes twice stand there already; and while the time of this boot is awaited, none of this boot.
 * @param heldBoot undefined where nothing is awaited
 */
export function sendable(events: readonly BufferedEvent[], heldBoot: string | undefined): number {
  const epoch = events[0]?.epoch;
  const end = events.findIndex(
    (event) =>
      event.epoch !== epoch ||
      (heldBoot !== undefined && readStamp(event.value)?.boot === heldBoot),
  );
  return end < 0 ? events.length : end;
}
