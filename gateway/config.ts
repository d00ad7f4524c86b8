/** The gateway's settings: one schema from which defaults, checks, types and documentation come. */
import Type, { type Static } from "typebox";
import { ON_NEW_HARDWARE, type OnNewHardware } from "./boards.core.ts";
import { FULL_POLICIES, type FullPolicy } from "./buffer/port.ts";
import { clockSettings } from "./clock-settings.ts";
import { payloadSettings } from "./payloads/settings.ts";

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
      default: 16 * MiB,
      minimum: 64,
      maximum: 64 * MiB,
      description:
        "Larger payloads on a sensor topic become rejected events. What is decoded as a reading is bounded by `payloads.over_bytes`.",
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
      description: "What may wait for the log, in bytes of events.",
    }),
    on_full: Type.Unsafe<FullPolicy>(
      Type.Enum([...FULL_POLICIES], {
        default: "drop-oldest",
        description:
          "At the cap. `drop-oldest`: the oldest readings give way, and each one is declared lost in its place. `refuse`: nothing more is acknowledged until the log takes some, so a device that can keep its readings does.",
      }),
    ),
    free_floor_bytes: Type.Integer({
      default: 128 * MiB,
      minimum: 0,
      description:
        "With less left on the disk the buffer grows no more: what is at the cap happens. 0 never looks.",
    }),
    commit_window_ms: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 10_000,
      description:
        "How long readings gather before they are written and acknowledged together. 0 acknowledges at once; more writes less, for the life of an SD card.",
    }),
  },
  { additionalProperties: false, default: {} },
);

export const forwarderSettings = Type.Object(
  {
    batch_events: Type.Integer({
      default: 4000,
      minimum: 1,
      maximum: 100_000,
      description: "Most events in one batch. One batch is in flight at a time.",
    }),
    batch_bytes: Type.Integer({
      default: 512 * 1024,
      minimum: 1024,
      description:
        "Most bytes of events in one batch; keep it below the broker's message limit. On a slow link batches are smaller by themselves.",
    }),
    linger_ms: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 60_000,
      description:
        "How long a reading may wait for others to be sent with it. 0 sends at once; more takes fewer bytes where little comes.",
    }),
    batch_interval_ms: Type.Integer({
      default: 100,
      minimum: 0,
      maximum: 60_000,
      description:
        "Between two batches that are not full; what comes meanwhile is sent together. A reading after a pause is sent at once.",
    }),
    max_bytes_per_second: Type.Optional(
      Type.Integer({
        minimum: 100,
        description:
          "What forwarding may take of the link, bytes a second on the wire, over a few seconds. Without it: as much as there is.",
      }),
    ),
  },
  { additionalProperties: false, default: {} },
);

export const hardwareSettings = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description:
          "Tells this hardware from other hardware, beside what the machine says of itself: another one is other hardware. For containers and virtual machines: two copies need two.",
      }),
    ),
    on_new_hardware: Type.Unsafe<OnNewHardware>(
      Type.Enum([...ON_NEW_HARDWARE], {
        default: "suffix",
        description:
          "Where the data directory is found on other hardware. `suffix`: it may be a copy whose original goes on, so it goes on under an id of its own. `keep`: the board was replaced, and the id stays. Either way a new epoch begins and nothing is lost.",
      }),
    ),
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
  payloads: payloadSettings,
  clock: clockSettings,
  hardware: hardwareSettings,
};

const whole = Type.Object(gatewaySettings);
export type GatewaySettings = Static<typeof whole>;
