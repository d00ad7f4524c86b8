/** The settings of the gateway's clock; docs/time.md says what they are for. */
import Type, { type Static } from "typebox";

export const clockSettings = Type.Object(
  {
    wait_ms: Type.Integer({
      default: 300_000,
      minimum: 0,
      description:
        "How long forwarding waits for the clock to be set: from the boot, and from a step of more than a day ahead. Then what came without a device time goes out as `unsynced`.",
    }),
    mark_file: Type.String({
      default: "/run/systemd/timesync/synchronized",
      description:
        "File that the time service leaves once it has set the clock. While its directory is there and the file is not, the clock is not trusted; where there is no such directory, any plausible time is. Empty waits for no service.",
    }),
  },
  { additionalProperties: false, default: {} },
);
export type ClockSettings = Static<typeof clockSettings>;
