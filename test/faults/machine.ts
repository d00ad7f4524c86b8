/**
 * What a fault needs of the machine: file systems of its own, loop disks, programs that end. Everything lies below one
 * temporary directory and is given back on every way out, Ctrl-C and a failed assertion included; nothing else is touched.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingCommand } from "../debian.ts";

const NEEDS = ["tmpfs", "loop", "strace", "faketime"] as const;
export type Need = (typeof NEEDS)[number];

function can(command: string, ...args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status === 0) return undefined;
  return error?.message ?? stderr.trim().split("\n")[0] ?? `${command} failed`;
}

function tryTmpfs(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-try-"));
  try {
    const reason = can("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory);
    if (reason === undefined) execFileSync("umount", [directory]);
    return reason === undefined ? undefined : `no file system can be mounted here (${reason})`;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function tryLoop(): Promise<string | undefined> {
  const command = await missingCommand("mkfs.ext4", "e2fsprogs");
  if (command) return command;
  const directory = mkdtempSync(join(tmpdir(), "tidegate-try-"));
  try {
    const disk = new LoopDisk(directory, { megabytes: 8 });
    disk.mount();
    disk.unmount();
    return undefined;
  } catch (error) {
    return `no loop disk can be had (${(error as Error).message.trim().split("\n").at(-1)})`;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function tryStrace(): Promise<string | undefined> {
  const command = await missingCommand("strace", "strace");
  if (command) return command;
  const reason = can("strace", "-o", "/dev/null", "true");
  return reason && `no process can be traced here (${reason})`;
}

/** Where the kernel was built without it no machine setting can bring it, and CI cannot mend that either. */
function kernelLacks(need: Need): boolean {
  if (need !== "loop") return false;
  const loops = readFileSync("/proc/devices", "utf8").includes(" loop\n");
  return !loops || !readFileSync("/proc/filesystems", "utf8").includes("\text4\n");
}

/**
 * @returns undefined where all that is needed is there, else why the test is skipped, in one line
 * @throws Error with CI=true: nothing is skipped there, unless the kernel itself has no such thing
 */
export async function missingNeed(needs: readonly Need[]): Promise<string | undefined> {
  for (const need of needs) {
    const reason =
      need === "tmpfs"
        ? tryTmpfs()
        : need === "loop"
          ? await tryLoop()
          : need === "strace"
            ? await tryStrace()
            : await missingCommand("faketime", "faketime");
    if (reason === undefined) continue;
    if (process.env.CI === "true" && !kernelLacks(need)) {
      throw new Error(`this test needs ${need}: ${reason}`);
    }
    return reason;
  }
  return undefined;
}

type Release = () => void;

/** One temporary directory and what was made for it. */
export class Ground {
  readonly directory: string = mkdtempSync(join(tmpdir(), "tidegate-faults-"));
  readonly #releases: Release[] = [];
  readonly #onExit = () => this.release();
  #numbers = 0;
  /** Leaves the directory where it is, for whoever wants to look. */
  keep = false;

  constructor() {
    process.once("exit", this.#onExit);
  }

  /** Called at the end, the last first. It must not wait: it may be the end of the process. */
  defer(release: Release): void {
    this.#releases.push(release);
  }

  /** A path below the directory that nothing has yet. */
  path(name: string): string {
    this.#numbers += 1;
    return join(this.directory, `${name}-${this.#numbers}`);
  }

  /** An empty file system in memory of a fixed size. */
  tmpfs(megabytes: number): string {
    const directory = this.path("tmpfs");
    mkdirSync(directory);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", directory]);
    this.defer(() => unmount(directory));
    return directory;
  }

  loopDisk(options: LoopOptions): LoopDisk {
    const directory = this.path("disk");
    mkdirSync(directory);
    const disk = new LoopDisk(directory, options);
    this.defer(() => disk.unmount());
    return disk;
  }

  release(): void {
    process.off("exit", this.#onExit);
    for (const release of this.#releases.splice(0).reverse()) release();
    if (!this.keep) rmSync(this.directory, { recursive: true, force: true });
  }
}

function unmount(directory: string): void {
  if (spawnSync("umount", [directory]).status === 0) return;
  // Something still has it open; it goes away with the last who has.
  spawnSync("umount", ["-l", directory]);
}

export interface LoopOptions {
  readonly megabytes?: number;
  /** The backing image to begin with; without one an empty file system is made. */
  readonly image?: string;
}

/** An ext4 file system in a file: what is in the file is what a disk would hold if the power went now. */
export class LoopDisk {
  readonly image: string;
  readonly directory: string;
  #mounted = false;

  constructor(place: string, { megabytes = 64, image }: LoopOptions) {
    this.image = image ?? join(place, "image");
    this.directory = join(place, "root");
    mkdirSync(this.directory);
    if (image !== undefined) return;
    writeFileSync(this.image, "");
    truncateSync(this.image, megabytes * 1024 * 1024);
    const layout = ["-E", "lazy_itable_init=0,lazy_journal_init=0", "-m", "0"];
    execFileSync("mkfs.ext4", ["-q", ...layout, this.image], { stdio: "pipe" });
  }

  /** The journal's own timer waits for long, so that what is on the disk was asked for by somebody. */
  mount(): void {
    if (this.#mounted) return;
    const options = "loop,commit=300,errors=remount-ro";
    execFileSync("mount", ["-o", options, this.image, this.directory], { stdio: "pipe" });
    this.#mounted = true;
  }

  unmount(): void {
    if (!this.#mounted) return;
    unmount(this.directory);
    this.#mounted = false;
  }

  /** `loop3` */
  get device(): string {
    const out = execFileSync("losetup", ["-j", this.image, "-O", "NAME", "-n"], {
      encoding: "utf8",
    });
    const name = out.trim().split("\n")[0]?.replace("/dev/", "").trim();
    if (!name) throw new Error(`${this.image} is on no loop device`);
    return name;
  }

  /** Writes that the device was asked for and has in flight: while they stand still, so does the image. */
  get writes(): string {
    const stat = readFileSync(`/sys/block/${this.device}/stat`, "utf8").trim().split(/\s+/);
    return [stat[4], stat[6], stat[8]].join(" ");
  }

  /**
   * The image as a power cut would leave it: what the file system has not written is not in it. Whoever writes to the
   * disk must stand still.
   */
  copyImage(to: string): void {
    for (;;) {
      const before = this.writes;
      execFileSync("cp", ["--sparse=always", this.image, to]);
      if (before.endsWith(" 0") && this.writes === before) return;
    }
  }

  /** The kernel finds the file system broken and makes it read-only, as it does when an SD card fails. */
  breakDown(): void {
    const trigger = `/sys/fs/ext4/${this.device}/trigger_fs_error`;
    if (!existsSync(trigger)) throw new Error(`this kernel has no ${trigger}`);
    writeFileSync(trigger, "1");
  }
}
