/**
 * From buffered events to the batch that is sent, and sent again unchanged until the log has it. Pure.
 */
import { eventHeaders } from "../../events/cloudevents.ts";
import { type Epoch, eventId, type GatewayId, gatewaySource } from "../../events/ids.ts";
import type { FrozenBatch } from "../../stream/port.ts";
import type { BufferedEvent } from "../buffer/port.ts";

export interface Journal {
  readonly gateway: GatewayId;
  readonly epoch: Epoch;
  readonly topic: string;
}

/** One record for each event, keyed by gateway: a gateway is one ordered journal in one partition. */
export function freeze(journal: Journal, events: readonly BufferedEvent[]): FrozenBatch {
  const source = gatewaySource(journal.gateway);
  return {
    topic: journal.topic,
    key: journal.gateway,
    records: events.map((event) => ({
      key: journal.gateway,
      headers: {
        ...eventHeaders(event.type, eventId(journal.epoch, event.sequence), source, event.time),
      },
      value: event.value,
    })),
  };
}
