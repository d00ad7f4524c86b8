/** What is to be said of a gateway's buffer beside what it holds: that it is nearly full, full, or being recovered. Pure. */
import type { GatewayStatus } from "../../events/schema.ts";
import { formatBytes, formatCount, formatDuration } from "./format.core.ts";

export interface BufferWord {
  readonly tone: "warning" | "critical";
  readonly text: string;
}

const HOUR_MS = 3_600_000;

function events(count: number): string {
  return `${formatCount(count)} ${count === 1 ? "event" : "events"}`;
}

/** The worst first; nothing where there is nothing to say, or where the gateway is of a version that does not say it. */
export function bufferWords(status: GatewayStatus): readonly BufferWord[] {
  const { buffer } = status;
  if (!buffer) return [];
  const words: BufferWord[] = [];
  const { full, damage } = buffer.lost;
  if (buffer.state === "recovering") {
    const why = buffer.trouble === undefined ? "" : ` (${buffer.trouble})`;
    const text = `Buffer is being recovered: nothing is acknowledged${why}`;
    words.push({ tone: "critical", text });
  } else if (buffer.state === "full" && buffer.policy === "refuse") {
    words.push({ tone: "critical", text: "Buffer full: acknowledgements are held back" });
  } else if (buffer.state === "full") {
    const declared = full > 0 ? ` (${formatCount(full)} declared lost)` : "";
    words.push({ tone: "critical", text: `Buffer full: the oldest readings give way${declared}` });
  } else if (buffer.near_full) {
    words.push({ tone: "warning", text: nearly(status) });
  }
  if (full > 0 && buffer.state !== "full") {
    const text = `${events(full)} gave way to newer ones since start, declared lost`;
    words.push({ tone: "warning", text });
  }
  if (damage > 0) {
    words.push({ tone: "warning", text: `${events(damage)} lost to damage since start, declared` });
  }
  return words;
}

function nearly({ buffered_bytes, capacity_bytes, hours_left, buffer }: GatewayStatus): string {
  const share = Math.min(1, buffered_bytes / Math.max(1, capacity_bytes));
  const { free_bytes: free, floor_bytes: floor } = buffer ?? {};
  const room = Math.max(0, capacity_bytes - buffered_bytes);
  const disk = free === undefined || !floor ? undefined : Math.max(0, free - floor);
  const time =
    hours_left === undefined ? "" : `, about ${formatDuration(hours_left * HOUR_MS)} left`;
  // It is the disk that ends it where that has less than the cap would allow.
  if (disk !== undefined && disk < room) {
    return `Disk nearly full: ${formatBytes(disk)} left for the buffer${time}`;
  }
  return `Buffer ${Math.floor(share * 100)} % full${time}`;
}
