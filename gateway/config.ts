/** The gateway's settings: one schema from which defaults, checks, types and documentation come. */
import Type, { type Static } from "typebox";
import { clockSettings } from "./clock-settings.ts";

const MiB = 1024 * 1024;

export const mqttSettings = Type.Object(
  {
    host: Type.String({
      default: "127.0.0.1",
      description:
        "Address to listen on. Loopback by default: there are no passwords yet, so opening it to a network is your decision.",
    }),
    port: Type.Integer({
      default: 1883,
      minimum: 0,
      maximum: 65535,
      description: "Port to listen on; 0 takes any free one and prints it.",
    }),
    max_clients: Type.Integer({
      default: 10_000,
      minimum: 1,
      description:
        "Connections at once; further ones are closed. Each takes about 20 KB of memory.",
    }),
    max_payload_bytes: Type.Integer({
      default: 256 * 1024,
      minimum: 64,
      maximum: 512 * 1024,
      description: "Larger payloads on a sensor topic become rejected events.",
    }),
    connect_timeout_ms: Type.Integer({
      default: 10_000,
      minimum: 100,
      description: "From the connection to its CONNECT packet; then it is closed.",
    }),
    queue_limit: Type.Integer({
      default: 1000,
      minimum: 1,
      description: "Messages on their way to one subscriber; a slower one is disconnected.",
    }),
  },
  { additionalProperties: false, default: {} },
);

export const bufferSettings = Type.Object(
  {
    capacity_bytes: Type.Integer({
      default: 1024 * MiB,
      minimum: MiB,
      description:
        "What may wait for the log, in bytes. At the cap readings are refused (no PUBACK), so a device that can keep them does.",
    }),
  },
  { additionalProperties: false, default: {} },
);

export const forwarderSettings = Type.Object(
  {
    batch_events: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 100_000,
      description: "Most events in one batch. One batch is in flight at a time.",
    }),
    batch_bytes: Type.Integer({
      default: 512 * 1024,
      minimum: 1024,
      description: "Most bytes of events in one batch; keep it below the broker's message limit.",
    }),
  },
  { additionalProperties: false, default: {} },
);

export const gatewaySettings = {
  gateway_id: Type.Optional(
    Type.String({
      pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
      "x-form": "write letters, digits, _ . or -, e.g. plant-7",
      description: "Who this gateway is. Made at the first start where it is not set.",
    }),
  ),
  heartbeat_interval_ms: Type.Integer({
    default: 10_000,
    minimum: 100,
    description: "Between heartbeats in the journal: they prove that all accepted before has come.",
  }),
  status_interval_ms: Type.Integer({
    default: 5_000,
    minimum: 100,
    description: "Between the states that the gateway publishes of itself, past any backlog.",
  }),
  stop_deadline_ms: Type.Integer({
    default: 5_000,
    minimum: 0,
    description: "How long a stop waits for the batch in flight.",
  }),
  mqtt: mqttSettings,
  buffer: bufferSettings,
  forwarder: forwarderSettings,
  clock: clockSettings,
};

const whole = Type.Object(gatewaySettings);
export type GatewaySettings = Static<typeof whole>;
