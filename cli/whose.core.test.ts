import { expect, test } from "vitest";
import type { GatewayId } from "../events/ids.ts";
import { type Boards, firstBoards, settle } from "../gateway/boards.core.ts";
import { type Hardware, hashed } from "../gateway/hardware.ts";
import { hardwareText, identityFindings } from "./whose.core.ts";

const SALT = "00112233445566778899aabbccddeeff";
const PI: Hardware = {
  evidence: { serial: ["10000000abcdef12"], mac: ["dc:a6:32:00:00:01", "dc:a6:32:00:00:02"] },
  unreadable: ["product_uuid"],
  passedOver: undefined,
};
const NOTHING: Hardware = { evidence: {}, unreadable: [], passedOver: undefined };
const OTHER: Hardware = { ...PI, evidence: { serial: ["10000000ffffff99"] } };

function found(hardware: Hardware, table?: Boards, wanted?: string) {
  const now = hashed(hardware.evidence, SALT);
  const next = table && settle(table, now, { wanted, onNewHardware: "suffix" });
  return identityFindings({ hardware, boards: table, next });
}
const table = firstBoards("plant-7" as GatewayId, SALT, hashed(PI.evidence, SALT));

test("what tells the hardware is named and not told", () => {
  expect(hardwareText(PI)).toBe(
    "the processor's serial number, network cards (2); not for this user to read: the UUID of its firmware",
  );
  expect(JSON.stringify(found(PI, table))).not.toMatch(/abcdef12|dc:a6/);
});

test("at home all is well; before the first start too", () => {
  expect(found(PI, table).map(({ state, text }) => [state, text])[1]).toEqual(["ok", "plant-7"]);
  expect(found(PI).map(({ state }) => state)).toEqual(["ok", "ok"]);
});

test("hardware that nothing tells, other hardware, and another name are said with what to do", () => {
  expect(found(NOTHING, table)).toMatchObject(
    [{ state: "unknown", fix: /hardware.id/ }, { state: "ok" }].map((one) =>
      one.fix ? { ...one, fix: expect.stringMatching(one.fix) } : one,
    ),
  );
  const [, moved] = found(OTHER, table);
  expect(moved).toMatchObject({
    state: "warn",
    text: expect.stringMatching(/^plant-7; at a start here plant-7-/),
  });
  expect(moved?.fix).toContain("gateway_id");
  expect(found(PI, table, "plant-8")[1]).toMatchObject({ state: "fail" });
});
