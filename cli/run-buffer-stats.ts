/** The work of `tidegate buffer stats`. */
import type { GatewayStatus } from "../events/schema.ts";
import { type Board, currentOf } from "../gateway/boards.core.ts";
import { readBoards } from "../gateway/boards.ts";
import type { Examination } from "../gateway/buffer/examine.ts";
import type { GatewaySettings } from "../gateway/config.ts";
import { count, range, runningText, table, things } from "./buffer-text.core.ts";
import { type BufferCounts, countEvents } from "./count-events.ts";
import { openBuffer } from "./open-buffer.ts";

type Row = readonly [string, string];

export async function bufferStats(
  dataDir: string,
  settings: GatewaySettings["buffer"],
  json: boolean,
): Promise<void> {
  const { boards } = await readBoards(dataDir);
  const opened = await openBuffer(dataDir);
  if (opened.kind === "running") {
    const { status, unready } = opened.running;
    const text =
      status?.buffer === undefined
        ? runningText(opened.running, undefined, unready)
        : table(runningRows(status, status.buffer));
    process.stdout.write(json ? `${JSON.stringify({ running: true, unready, status })}\n` : text);
    return;
  }
  const { examined } = opened;
  try {
    const counts = await countEvents(examined.events());
    const { examination } = examined;
    const { capacity_bytes, on_full, free_floor_bytes } = settings;
    const { diskBytes, freeBytes, epochs } = examination;
    const board = boards && currentOf(boards);
    const whose = board ? { gateway: board.gateway, hardware: board.name } : {};
    const report = { running: false, ...whose, ...counts, epochs, diskBytes, freeBytes };
    const limits = { capacityBytes: capacity_bytes, policy: on_full, floorBytes: free_floor_bytes };
    process.stdout.write(
      json
        ? `${JSON.stringify({ ...report, ...limits, damaged: examination.start === "salvage" })}\n`
        : table([...whoseRows(board), ...rows(counts, examination, settings)]),
    );
  } finally {
    await examined.close();
  }
}

function whoseRows(board: Board | undefined): Row[] {
  if (!board) return [];
  const { gateway, base, name } = board;
  const copy = gateway === base ? "" : `, on other hardware than ${base}`;
  return [["Gateway", `${gateway}${copy}; hardware ${name}`]];
}

function rows(
  counts: BufferCounts,
  examination: Examination,
  settings: GatewaySettings["buffer"],
): Row[] {
  const { events, byType, topDevices, devices, oldest, newest, declaredLost } = counts;
  const share = (100 * examination.bytes) / settings.capacity_bytes;
  const waiting = examination.epochs.filter((one) => one.waiting);
  return [
    ["Waits", `${things(events, "event")}, ${count(examination.bytes)} bytes`],
    ...(oldest === undefined || newest === undefined
      ? []
      : ([
          ["From", instant(oldest)],
          ["To", instant(newest)],
        ] as const)),
    ...list(
      "Types",
      Object.entries(byType).map(
        ([type, one]) => `${type.replace("tidegate.", "")}  ${count(one.events)}`,
      ),
    ),
    ...list(
      "Devices",
      topDevices.map(({ device, events: n }) => `${device}  ${count(n)}`),
      devices > topDevices.length ? `and ${count(devices - topDevices.length)} more` : undefined,
    ),
    ...list(
      "Epochs",
      waiting.map(({ epoch, gateway, waiting: at }) => {
        const whose = gateway === undefined ? "" : `  of ${gateway}`;
        return `${epoch}  ${at ? range(at) : ""}${whose}`;
      }),
    ),
    ...(declaredLost > 0
      ? ([["Lost", `${things(declaredLost, "event")} declared lost`]] as const)
      : []),
    [
      "Cap",
      `${count(settings.capacity_bytes)} bytes, ${share.toFixed(1)} % used; ${settings.on_full} then`,
    ],
    [
      "On disk",
      `${count(examination.diskBytes)} bytes; ${count(examination.freeBytes)} are free, the floor is ${count(settings.free_floor_bytes)}`,
    ],
    ...(examination.start === "salvage"
      ? ([
          ["Damaged", "these are the figures of what can be saved: tidegate buffer check"],
        ] as const)
      : []),
  ];
}

function runningRows(status: GatewayStatus, buffer: NonNullable<GatewayStatus["buffer"]>): Row[] {
  const { disk_bytes, free_bytes, floor_bytes, lost } = buffer;
  const share = (100 * status.buffered_bytes) / Math.max(1, status.capacity_bytes);
  const hours = status.hours_left;
  return [
    ["Gateway", `${status.gateway}, running`],
    ["Hardware", status.hardware ?? "nothing tells it from other hardware"],
    ...(status.copy_of === undefined
      ? []
      : [["Copy of", `${status.copy_of}, or moved from its hardware`] as const]),
    ["State", buffer.trouble === undefined ? buffer.state : `${buffer.state}: ${buffer.trouble}`],
    ["Waits", `${things(buffer.waiting, "event")}, ${count(status.buffered_bytes)} bytes`],
    [
      "Epoch",
      `${status.epoch}  accepted ${count(status.accepted)}, released ${count(status.forwarded)}`,
    ],
    [
      "Cap",
      `${count(status.capacity_bytes)} bytes, ${share.toFixed(1)} % used; ${buffer.policy} then${hours === undefined ? "" : `, about ${hours} h left`}`,
    ],
    [
      "On disk",
      `${disk_bytes === undefined ? "?" : count(disk_bytes)} bytes; ${free_bytes === undefined ? "?" : count(free_bytes)} are free, the floor is ${count(floor_bytes)}`,
    ],
    ["Lost", `${count(lost.full)} when full, ${count(lost.damage)} to damage, since it started`],
  ];
}

function list(name: string, lines: readonly string[], more?: string): Row[] {
  return [...lines, ...(more === undefined ? [] : [more])].map((line, i) => [
    i === 0 ? name : "",
    line,
  ]);
}

function instant(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : "no time";
}
