import { expect, test } from "vitest";
import type { GatewayView } from "../../cloud/read-model/port.ts";
import { identityWords, losesReadings } from "./identity.core.ts";

const NONE = { accepted: 0, arrived: 0, onTheWay: 0, missing: 0, duplicates: 0, declaredLost: 0 };
const view = (gateway: string, more: Partial<GatewayView> = {}): GatewayView => ({
  gateway,
  totals: NONE,
  ...more,
});
const speaker = (epoch: string, hardware?: string) => ({
  ...{ epoch, started: 0, accepted: 0, version: "1" },
  ...(hardware === undefined ? {} : { hardware }),
});
const status = (copy_of: string) => ({ copy_of }) as NonNullable<GatewayView["status"]>;

test("of a gateway that is alone under its id nothing is said", () => {
  const one = view("plant-7");
  expect(identityWords(one, [one, view("plant-8")])).toEqual([]);
});

test("two under one id are named with what tells them apart, and what to do", () => {
  const shared = view("plant-7", { sharedBy: [speaker("aa", "board1"), speaker("bb")] });
  const [word] = identityWords(shared, [shared]);
  expect(word?.tone).toBe("warning");
  for (const part of ["Two gateways", "board1", "epoch aa", "epoch bb", "gateway_id"]) {
    expect(word?.text).toContain(part);
  }
});

test("two on one epoch lose readings, and that is said as such", () => {
  const shared = view("plant-7", { sharedBy: [speaker("aa"), speaker("aa")] });
  expect(losesReadings(shared)).toBe(true);
  expect(identityWords(shared, [shared])[0]).toMatchObject({ tone: "critical" });
});

test("a copy names its original, and the original its copy", () => {
  const original = view("plant-7");
  const copy = view("plant-7-x4k2m", { status: status("plant-7") });
  const all = [original, copy];
  expect(identityWords(copy, all)).toMatchObject([{ other: "plant-7" }]);
  expect(identityWords(original, all)).toMatchObject([{ other: "plant-7-x4k2m" }]);
});
