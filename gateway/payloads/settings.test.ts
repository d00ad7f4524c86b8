import { expect, test } from "vitest";
import { payloadFloor } from "./settings.ts";

const MiB = 1024 * 1024;

test("payloads stay clear of the floor at which readings give way, by what readings may need", () => {
  const floor = (free: number, capacity: number) =>
    payloadFloor({ free_floor_bytes: free * MiB, capacity_bytes: capacity * MiB });
  expect(floor(128, 1024)).toBe(384 * MiB);
  expect(floor(128, 10)).toBe(138 * MiB);
  expect(floor(0, 1024)).toBe(0);
});
