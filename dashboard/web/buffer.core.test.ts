import { expect, test } from "vitest";
import type { BufferStatus, GatewayStatus } from "../../events/schema.ts";
import { bufferWords } from "./buffer.core.ts";

const MB = 1_000_000;
const status = (
  buffer: Partial<BufferStatus> | undefined,
  more: Partial<GatewayStatus> = {},
): GatewayStatus => ({
  gateway: "g",
  time: 0,
  epoch: "e",
  accepted: 10,
  forwarded: 0,
  buffered_bytes: 830 * MB,
  capacity_bytes: 1000 * MB,
  clients: 1,
  interval: 5000,
  started: 0,
  version: "1",
  ...more,
  ...(buffer && {
    buffer: {
      state: "open",
      policy: "drop-oldest",
      near_full: false,
      waiting: 10,
      floor_bytes: 128 * MB,
      free_bytes: 5000 * MB,
      lost: { full: 0, damage: 0 },
      recoveries: 0,
      ...buffer,
    },
  }),
});

test.each<[string, GatewayStatus, string[]]>([
  ["of an older gateway nothing", status(undefined), []],
  ["nothing where all is well", status({}), []],
  [
    "nearly full by its cap",
    status({ near_full: true }, { hours_left: 5.17 }),
    ["warning Buffer 83 % full, about 5 h 10 min left"],
  ],
  ["at no rate that tells", status({ near_full: true }), ["warning Buffer 83 % full"]],
  [
    "nearly full by its disk",
    status({ near_full: true, free_bytes: 178 * MB }, { buffered_bytes: 0, hours_left: 0.5 }),
    ["warning Disk nearly full: 50 MB left for the buffer, about 30 min left"],
  ],
  [
    "the disk is not looked at",
    status({ near_full: true, free_bytes: 1, floor_bytes: 0 }),
    ["warning Buffer 83 % full"],
  ],
  [
    "full, the oldest give way",
    status({ state: "full", near_full: true, lost: { full: 1204, damage: 0 } }),
    ["critical Buffer full: the oldest readings give way (1,204 declared lost)"],
  ],
  [
    "full, held back",
    status({ state: "full", policy: "refuse" }),
    ["critical Buffer full: acknowledgements are held back"],
  ],
  [
    "being recovered",
    status({ state: "recovering", trouble: "No space left on device" }),
    ["critical Buffer is being recovered: nothing is acknowledged (No space left on device)"],
  ],
  [
    "what was lost before",
    status({ lost: { full: 1, damage: 7 } }),
    [
      "warning 1 event gave way to newer ones since start, declared lost",
      "warning 7 events lost to damage since start, declared",
    ],
  ],
])("%s", (_, given, expected) => {
  expect(bufferWords(given).map(({ tone, text }) => `${tone} ${text}`)).toEqual(expected);
});
