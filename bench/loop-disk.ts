/** An ext4 of its own on a file, and the bytes that reach its block device: the kernel's count, below every cache. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const SIZE = "1G";
/** Of /sys/block/…/stat, whatever the device's own sectors are. */
const SECTOR_BYTES = 512;
const UMOUNT_TRIES = 50;
const UMOUNT_PAUSE_MS = 100;

export class LoopDisk {
  readonly #folder: string;
  readonly #device: string;
  readonly mount: string;

  private constructor(folder: string, mount: string, device: string) {
    this.#folder = folder;
    this.mount = mount;
    this.#device = device;
  }

  /** @returns why there can be none here, or undefined */
  static async missing(): Promise<string | undefined> {
    if (process.getuid?.() !== 0) return "loop devices need root";
    const disk = LoopDisk.#tried(true);
    if (typeof disk === "string") return disk;
    await disk.remove();
    return undefined;
  }

  static make(journal: boolean): LoopDisk {
    const disk = LoopDisk.#tried(journal);
    if (typeof disk === "string") throw new Error(disk);
    return disk;
  }

  static #tried(journal: boolean): LoopDisk | string {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-loop-"));
    const image = join(folder, "image");
    const mount = join(folder, "mount");
    try {
      mkdirSync(mount);
      execFileSync("truncate", ["-s", SIZE, image]);
      // Without these the kernel goes on writing empty inode tables for minutes after the mount.
      const now = "lazy_itable_init=0,lazy_journal_init=0";
      const features = journal ? [] : ["-O", "^has_journal"];
      execFileSync("mkfs.ext4", ["-q", "-E", now, ...features, image], { stdio: "pipe" });
      execFileSync("mount", ["-o", "loop", image, mount], { stdio: "pipe" });
      const device = execFileSync("findmnt", ["-no", "SOURCE", mount], { encoding: "utf8" });
      return new LoopDisk(folder, mount, basename(device.trim()));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      return (error as Error).message;
    }
  }

  /** So far, with everything that a cache still held back. */
  bytesWritten(): number {
    execFileSync("sync", ["-f", this.mount]);
    const fields = readFileSync(`/sys/block/${this.#device}/stat`, "utf8").trim().split(/\s+/);
    return Number(fields[6]) * SECTOR_BYTES;
  }

  /** A process that was just killed may hold it for a moment. */
  async remove(): Promise<void> {
    for (let tries = UMOUNT_TRIES; ; tries -= 1) {
      try {
        execFileSync("umount", [this.mount], { stdio: "pipe" });
        break;
      } catch (error) {
        if (tries === 0) throw error;
        await pause(UMOUNT_PAUSE_MS);
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
