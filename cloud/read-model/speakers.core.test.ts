import { expect, test } from "vitest";
import type { GatewayStatus } from "../../events/schema.ts";
import { type Speakers, sharing, speak } from "./speakers.core.ts";

const STATUS: GatewayStatus = {
  ...{ gateway: "plant-7", time: 0, epoch: "aaaaaaaaaa", accepted: 10, forwarded: 10 },
  ...{
    buffered_bytes: 0,
    capacity_bytes: 1,
    clients: 0,
    interval: 5000,
    started: 1e6,
    version: "1",
  },
};

/** A gateway that speaks: each call is its next status. */
function gateway(more: Partial<GatewayStatus> = {}): () => GatewayStatus {
  let { accepted } = { ...STATUS, ...more };
  return () => ({ ...STATUS, ...more, accepted: accepted++ });
}

const after = (speakers: Speakers, ...statuses: GatewayStatus[]) =>
  statuses.reduce(speak, speakers);
const times = (count: number, next: () => GatewayStatus) => Array.from({ length: count }, next);
function inTurn(count: number, ...all: (() => GatewayStatus)[]): GatewayStatus[] {
  return times(count, () => STATUS).flatMap(() => all.map((next) => next()));
}

const A = { epoch: "aaaaaaaaaa", hardware: "board-a" };
const B = { epoch: "bbbbbbbbbb", hardware: "board-b", started: 5e6 };

test("one gateway is one, restarted, with a new epoch, and with a status that came late", () => {
  const [first, second, third] = [gateway(A), gateway({ ...A, started: 2e6 }), gateway(B)];
  let speakers = after([], ...times(9, first), ...times(9, second), ...times(3, third));
  expect(sharing(speakers)).toBeUndefined();
  speakers = after(speakers, second(), ...times(30, third));
  expect(sharing(speakers)).toBeUndefined();
  expect(speakers).toHaveLength(1);
});

test("two that alternate are two within three statuses of each, and one again when one has been silent for a minute", () => {
  const [a, b] = [gateway(A), gateway(B)];
  let speakers = after([], ...times(5, a), ...inTurn(2, a, b));
  expect(sharing(speakers)).toBeUndefined();
  speakers = after(speakers, ...inTurn(2, a, b));
  expect(sharing(speakers)).toMatchObject([A, B]);
  speakers = after(speakers, ...times(12, b));
  expect(sharing(speakers)).toHaveLength(2);
  expect(sharing(after(speakers, b()))).toBeUndefined();
});

test("one that speaks seldom is not forgotten between its statuses", () => {
  const [often, seldom] = [gateway(A), gateway({ ...B, interval: 120_000 })];
  let speakers: Speakers = [];
  for (let i = 0; i < 4; i += 1) speakers = after(speakers, ...times(24, often), seldom());
  expect(sharing(speakers)).toHaveLength(2);
});

test("on one epoch they are told by their starts, and where they started together by how far they have come", () => {
  const same = { epoch: "aaaaaaaaaa" };
  const [one, later] = [gateway(same), gateway({ ...same, started: 9e6 })];
  expect(sharing(after([], ...inTurn(4, one, later)))).toHaveLength(2);
  const [many, few] = [gateway({ accepted: 500 }), gateway({ accepted: 430, started: 1e6 + 900 })];
  expect(sharing(after([], ...inTurn(4, many, few)))).toMatchObject([
    { accepted: 503 },
    { accepted: 433 },
  ]);
});

test("a clock that is slewed makes no second gateway, one that is set makes none that comes back", () => {
  const one = gateway(A);
  const movedBy = (ms: number) =>
    Array.from({ length: 100 }, (_, n) => ({ ...one(), started: 1e6 + n * ms }));
  expect(sharing(after([], ...movedBy(300)))).toBeUndefined();
  expect(sharing(after([], ...movedBy(60_000)))).toBeUndefined();
});

test("what is remembered is bounded", () => {
  let epochs = 0;
  const anew = () => {
    epochs += 1;
    return { ...STATUS, interval: 1, epoch: `epoch ${epochs}` };
  };
  expect(after([], ...times(100, anew)).length).toBeLessThanOrEqual(8);
});
