/**
 * Which files the bytes at the block device belong to, told from the system calls of a traced process: each sync of a file
 * writes the 4 KiB pages that were touched since its last one, the half-filled last page of a log again and again.
 */
import { readFileSync } from "node:fs";

const PAGE = 4096;

/** Arguments of strace whose output pagesByFile() reads. */
export function traceTo(file: string): string[] {
  const calls = "openat,write,pwrite64,fdatasync,fsync";
  return ["strace", "-f", "--seccomp-bpf", "-y", "-s", "0", "-o", file, "-e", `trace=${calls}`];
}

/** @returns bytes in whole pages, by path, of files below the folder */
export function pagesByFile(trace: string, folder: string): Map<string, number> {
  const written = new Map<string, number>();
  const dirty = new Map<string, Set<number>>();
  const ends = new Map<string, number>();
  const flush = (path: string) => {
    const pages = dirty.get(path);
    if (!pages) return;
    written.set(path, (written.get(path) ?? 0) + pages.size * PAGE);
    dirty.delete(path);
  };
  /** Each write is a sync of its own. */
  const synced = new Set<string>();
  for (const line of readFileSync(trace, "utf8").split("\n")) {
    const opened = /\bopenat\(.*O_D?SYNC.*= \d+<([^>]+)>$/.exec(line)?.[1];
    if (opened !== undefined) synced.add(opened);
    // What another thread interrupts stands on two lines; the first one has all that is needed but the result.
    const call = /^\d+\s+(\w+)\(\d+<([^>]+)>(.*)$/.exec(line);
    const [, name = "", path = "", rest = ""] = call ?? [];
    if (!path.startsWith(folder)) continue;
    if (name === "fsync" || name === "fdatasync") flush(path);
    else if (name === "write" || name === "pwrite64") {
      const numbers = /,\s*(\d+)(?:,\s*(\d+))?(?:\)| <unfinished)/.exec(rest);
      const length = Number(numbers?.[1] ?? 0);
      const from = numbers?.[2] === undefined ? (ends.get(path) ?? 0) : Number(numbers[2]);
      const pages = dirty.get(path) ?? new Set();
      dirty.set(path, pages);
      for (let page = Math.floor(from / PAGE); page * PAGE < from + length; page += 1) {
        pages.add(page);
      }
      if (synced.has(path)) flush(path);
      if (name === "write") ends.set(path, from + length);
    }
  }
  for (const path of dirty.keys()) flush(path);
  return written;
}
