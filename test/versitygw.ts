/**
 * versitygw, an S3 service over a directory that checks signatures and checksums as Amazon's does; the fakes that were looked
 * at take an upload with a wrong digest, so that a green test there proves nothing.
 *
 * It is taken from the PATH, or built once with Go into a cache folder. Where there is no Go, or it cannot be fetched, the test
 * is skipped with the reason; with CI=true nothing is skipped.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { S3Store, type S3StoreOptions } from "../gateway/payloads/s3-store.ts";
import { installDebianPackage } from "./debian.ts";

const run = promisify(execFile);

const VERSION = "v1.8.0";
const PACKAGE = "github.com/versity/versitygw/cmd/versitygw";

/** `TIDEGATE_VERSITYGW_CACHE`, else `.cache/versitygw-<version>` in the project's root. */
function cacheFolder(): string {
  const root = dirname(import.meta.dirname);
  return process.env.TIDEGATE_VERSITYGW_CACHE ?? join(root, ".cache", `versitygw-${VERSION}`);
}

export type Versitygw =
  | { readonly available: true; readonly binary: string }
  | { readonly available: false; readonly reason: string };

export async function versitygw(): Promise<Versitygw> {
  if ((await isThere("versitygw")) !== undefined) return { available: true, binary: "versitygw" };
  const folder = cacheFolder();
  const binary = join(folder, "versitygw");
  if (existsSync(binary)) return { available: true, binary };
  try {
    const go = (await isThere("go")) ?? (await isThere("/usr/local/go/bin/go"));
    if (go === undefined) {
      if (process.env.CI !== "true") {
        return { available: false, reason: "versitygw is not there, nor Go to build it" };
      }
      await installDebianPackage("golang-go");
    }
    await mkdir(folder, { recursive: true });
    // Into a folder beside: a build that is cut off leaves nothing that looks like one.
    const making = await mkdtemp(join(folder, "making-"));
    const env = { ...process.env, GOBIN: making };
    const built = join(making, "versitygw");
    await run(go ?? "go", ["install", `${PACKAGE}@${VERSION}`], { env, maxBuffer: 2 ** 26 });
    await run("mv", ["-f", built, binary]);
    await rm(making, { recursive: true });
    return { available: true, binary };
  } catch (error) {
    if (process.env.CI === "true") throw error;
    const [line] = (error as Error).message.split("\n").slice(-2);
    return { available: false, reason: `versitygw cannot be built: ${line}` };
  }
}

async function isThere(command: string): Promise<string | undefined> {
  return await run("sh", ["-c", 'command -v "$1"', "sh", command]).then(
    () => command,
    () => undefined,
  );
}

export const ACCESS = {
  accessKeyId: "gateway",
  secretAccessKey: "a long secret of 32 characters.",
};
export const REGION = "eu-test-1";

export interface RunningS3 {
  readonly port: number;
  readonly endpoint: string;
  /** The store in a bucket that is there. */
  store(more?: Partial<S3StoreOptions>): S3Store;
  /** Its bytes as they are in truth: the files of its directory. */
  stored(name: string): Promise<Buffer | undefined>;
  /** As `kill -9` does, and up again on the same port. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export const BUCKET = "pictures";

/** @param tls certificate and key, as files */
export async function startS3(
  binary: string,
  tls?: { readonly cert: string; readonly key: string },
): Promise<RunningS3> {
  const root = await mkdtemp(join(tmpdir(), "tidegate-s3-"));
  await mkdir(join(root, "data", BUCKET), { recursive: true });
  const port = await freePort();
  const endpoint = `${tls ? "https://localhost" : "http://127.0.0.1"}:${port}`;
  let child: ChildProcess | undefined;
  const start = async () => {
    const flags = ["--port", `127.0.0.1:${port}`, "--region", REGION, "--quiet"];
    if (tls) flags.push("--cert", tls.cert, "--key", tls.key);
    const secrets = {
      ROOT_ACCESS_KEY_ID: ACCESS.accessKeyId,
      ROOT_SECRET_ACCESS_KEY: ACCESS.secretAccessKey,
    };
    child = spawn(binary, [...flags, "posix", join(root, "data")], {
      env: { ...process.env, ...secrets },
      stdio: "ignore",
    });
    await listens(port, child);
  };
  const kill = async () => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  await start();
  return {
    port,
    endpoint,
    store: (more = {}) =>
      new S3Store({
        endpoint,
        region: REGION,
        bucket: BUCKET,
        prefix: "plant-7/",
        pathStyle: true,
        credentials: () => ACCESS,
        ...more,
      }),
    stored: async (name) => await readFile(join(root, "data", BUCKET, name)).catch(() => undefined),
    kill,
    restart: start,
    stop: async () => {
      await kill();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function listens(port: number, child: ChildProcess): Promise<void> {
  const { connect } = await import("node:net");
  for (;;) {
    if (child.exitCode !== null) throw new Error(`versitygw ended with ${child.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    const isUp = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
