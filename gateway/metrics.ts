/** The gateway's Prometheus metrics. They are read from its report at scrape, so that counting costs nothing. */
import { Counter, Gauge, type Registry } from "@prometheus-io/client";
import { BUFFER_STATES } from "../events/schema.ts";
import type { Gateway, GatewayReport } from "./gateway.ts";

type Read = (report: GatewayReport) => number | Readonly<Record<string, number>> | undefined;

interface Definition {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge";
  /** Present where the value is a record: the label that tells its members apart. */
  readonly label?: string;
  readonly read: Read;
}

const DEFINITIONS: readonly Definition[] = [
  {
    name: "tidegate_readings_total",
    help: "Readings acknowledged: on disk, fsynced.",
    kind: "counter",
    read: (r) => r.intake.readings,
  },
  {
    name: "tidegate_metric_values_total",
    help: "Metric values in the readings acknowledged.",
    kind: "counter",
    read: (r) => r.intake.metrics,
  },
  {
    name: "tidegate_rejected_payloads_total",
    help: "Payloads on sensor topics that could not be decoded, by reason. Each is an event of the journal.",
    kind: "counter",
    label: "reason",
    read: (r) => r.intake.rejected,
  },
  {
    name: "tidegate_refused_messages_total",
    help: "Messages that the buffer would not take and that were not acknowledged, by reason.",
    kind: "counter",
    label: "reason",
    read: (r) => r.intake.refused,
  },
  {
    name: "tidegate_unmatched_messages_total",
    help: "Messages that no route matches, carried as ordinary MQTT.",
    kind: "counter",
    read: (r) => r.intake.unmatched,
  },
  {
    name: "tidegate_mqtt_clients",
    help: "MQTT clients connected.",
    kind: "gauge",
    read: (r) => r.broker.clients,
  },
  {
    name: "tidegate_mqtt_client_errors_total",
    help: "Connections that a protocol error or a refused message ended.",
    kind: "counter",
    read: (r) => r.broker.clientErrors,
  },
  {
    name: "tidegate_mqtt_packets_too_large_total",
    help: "Connections that a packet over the limit ended; counted among the client errors too.",
    kind: "counter",
    read: (r) => r.broker.packetsTooLarge,
  },
  {
    name: "tidegate_mqtt_unfinished_closed_total",
    help: "Connections closed because unfinished packets took too much memory; counted among the client errors too.",
    kind: "counter",
    read: (r) => r.broker.packetsUnfinished,
  },
  {
    name: "tidegate_mqtt_repeats_total",
    help: "Messages that a device sent again and that were recognised: stored once, acknowledged again.",
    kind: "counter",
    read: (r) => r.broker.repeats,
  },
  {
    name: "tidegate_mqtt_sessions",
    help: "Persistent sessions held, connected or not.",
    kind: "gauge",
    read: (r) => r.broker.sessions,
  },
  {
    name: "tidegate_buffer_bytes",
    help: "Bytes of events that wait for the log.",
    kind: "gauge",
    read: (r) => r.buffer.bytes,
  },
  {
    name: "tidegate_buffer_capacity_bytes",
    help: "Bytes of events that may wait for the log.",
    kind: "gauge",
    read: (r) => r.buffer.capacityBytes,
  },
  {
    name: "tidegate_buffer_events",
    help: "Events that wait for the log.",
    kind: "gauge",
    read: (r) => r.buffer.waiting,
  },
  {
    name: "tidegate_buffer_state",
    help: "1 for the state that the buffer is in: open, full (at its cap or its disk's floor) or recovering (nothing is acknowledged).",
    kind: "gauge",
    label: "state",
    read: ({ buffer }) =>
      Object.fromEntries(BUFFER_STATES.map((state) => [state, Number(state === buffer.state)])),
  },
  {
    name: "tidegate_buffer_nearly_full",
    help: "1 while less than a fifth of the room is left, or less than a day at the rate of the last ten minutes.",
    kind: "gauge",
    read: (r) => Number(r.room.isNearlyFull),
  },
  {
    name: "tidegate_buffer_hours_left",
    help: "Hours until the buffer is full at the rate of the last ten minutes, by its cap or its disk's floor; NaN while it does not fill.",
    kind: "gauge",
    read: (r) => r.room.hoursLeft ?? Number.NaN,
  },
  {
    name: "tidegate_buffer_lost_events_total",
    help: "Events declared lost since the start, by reason. Each is declared in its place in the journal too.",
    kind: "counter",
    label: "reason",
    read: (r) => r.buffer.lost,
  },
  {
    name: "tidegate_buffer_recoveries_total",
    help: "Times that the store was closed, opened and checked after a failed write or damage.",
    kind: "counter",
    read: (r) => r.buffer.recoveries,
  },
  {
    name: "tidegate_buffer_disk_bytes",
    help: "What the buffer takes on its disk.",
    kind: "gauge",
    read: (r) => r.buffer.diskBytes,
  },
  {
    name: "tidegate_buffer_free_disk_bytes",
    help: "What the buffer's disk has left.",
    kind: "gauge",
    read: (r) => r.buffer.freeBytes,
  },
  {
    name: "tidegate_buffer_commits_total",
    help: "Group commits, each with one fsync.",
    kind: "counter",
    read: (r) => r.buffer.commits,
  },
  {
    name: "tidegate_payloads_total",
    help: "Large payloads acknowledged: on disk, fsynced.",
    kind: "counter",
    read: (r) => r.intake.payloads,
  },
  {
    name: "tidegate_payloads_waiting",
    help: "Large payloads that wait for the object store.",
    kind: "gauge",
    read: (r) => r.payloads.waiting,
  },
  {
    name: "tidegate_payloads_waiting_bytes",
    help: "Bytes of large payloads that wait for the object store.",
    kind: "gauge",
    read: (r) => r.payloads.bytes,
  },
  {
    name: "tidegate_payloads_capacity_bytes",
    help: "Bytes of large payloads that may wait for the object store.",
    kind: "gauge",
    read: (r) => r.payloads.capacityBytes,
  },
  {
    name: "tidegate_payloads_stored_total",
    help: "Large payloads that the object store has taken since the start.",
    kind: "counter",
    read: (r) => r.payloads.stored,
  },
  {
    name: "tidegate_payloads_lost_total",
    help: "Large payloads declared lost since the start, by reason. Each is an event of the journal too.",
    kind: "counter",
    label: "reason",
    read: (r) => r.payloads.lost,
  },
  {
    name: "tidegate_payloads_retries_total",
    help: "Times that a large payload could not be brought to the object store.",
    kind: "counter",
    read: (r) => r.payloads.retries,
  },
  {
    name: "tidegate_payloads_up",
    help: "1 while large payloads are taken in and go to the object store, 0 while one of the two does not go.",
    kind: "gauge",
    read: (r) => Number(r.payloads.trouble === undefined),
  },
  {
    name: "tidegate_forwarded_events_total",
    help: "Events that the log has acknowledged since the start.",
    kind: "counter",
    read: (r) => r.sink?.recordsSent,
  },
  {
    name: "tidegate_forward_retries_total",
    help: "Times that a batch had to be sent again.",
    kind: "counter",
    read: (r) => r.sink?.retries,
  },
  {
    name: "tidegate_forward_up",
    help: "1 while the log takes events, 0 while it is away or refuses.",
    kind: "gauge",
    read: (r) => (r.sink ? Number(r.sink.state === "idle" || r.sink.state === "sending") : 0),
  },
];

/** Registers the gateway's metrics. */
export function registerGatewayMetrics(registry: Registry, gateway: Gateway): void {
  for (const { name, help, kind, label, read } of DEFINITIONS) {
    const labelNames = label ? [label] : [];
    const set = (write: (labels: Record<string, string>, value: number) => void) => {
      const found = gateway.started ? read(gateway.report()) : undefined;
      if (typeof found === "number") write({}, found);
      else {
        for (const [key, value] of Object.entries(found ?? {}))
          write({ [label ?? ""]: key }, value);
      }
    };
    if (kind === "gauge") {
      new Gauge({
        name,
        help,
        labelNames,
        registers: [registry],
        collect() {
          set((labels, value) => this.set(labels, value));
        },
      });
    } else {
      new Counter({
        name,
        help,
        labelNames,
        registers: [registry],
        collect() {
          this.reset();
          set((labels, value) => this.inc(labels, value));
        },
      });
    }
  }
}
