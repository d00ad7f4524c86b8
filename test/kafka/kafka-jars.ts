/**
 * Apache Kafka as its jars from Maven Central, fetched once and kept in a cache folder between runs.
 *
 * Promises: the folder holds either everything or nothing (it is filled beside and renamed), any number of processes may
 * ask at once (one fetches, the others wait for its lock), and where it cannot be had the answer is a reason, not a crash.
 * With CI=true a missing Java or Maven is installed where that is possible, because there nothing may be skipped.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { missingCommand } from "../debian.ts";

const run = promisify(execFile);

export const KAFKA_VERSION = "4.3.1";

/** A fetch takes about 30 s on a slow line; a lock older than this was left by a process that died. */
const STALE_LOCK_MS = 10 * 60_000;
const LOCK_POLL_MS = 200;

export type KafkaJars =
  | { readonly available: true; readonly classpath: string }
  | { readonly available: false; readonly reason: string };

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tidegate.test</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${KAFKA_VERSION}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.2</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.25.2</version></dependency>
</dependencies></project>
`;

/** `TIDEGATE_KAFKA_CACHE`, else `.cache/kafka-<version>` in the project's root. */
export function kafkaCacheFolder(): string {
  const root = join(dirname(import.meta.dirname), "..");
  return process.env.TIDEGATE_KAFKA_CACHE ?? join(root, ".cache", `kafka-${KAFKA_VERSION}`);
}

export async function kafkaJars(): Promise<KafkaJars> {
  const folder = kafkaCacheFolder();
  const libs = join(folder, "libs");
  const classpath = join(libs, "*");
  const noJava = await whyMissing("java", "default-jre-headless");
  if (noJava) return { available: false, reason: noJava };
  if (existsSync(libs)) return { available: true, classpath };
  await mkdir(folder, { recursive: true });
  return await withLock(join(folder, "fetch.lock"), async () => {
    if (existsSync(libs)) return { available: true, classpath };
    const noMaven = await whyMissing("mvn", "maven");
    if (noMaven) return { available: false, reason: `Apache Kafka cannot be fetched: ${noMaven}` };
    const work = await mkdtemp(join(folder, "fetching-"));
    try {
      await writeFile(join(work, "pom.xml"), POM);
      await run(
        "mvn",
        [
          "-q",
          "-B",
          "dependency:copy-dependencies",
          "-DincludeScope=runtime",
          `-DoutputDirectory=${join(work, "libs")}`,
        ],
        { cwd: work, maxBuffer: 1 << 26 },
      );
      await rename(join(work, "libs"), libs);
      return { available: true, classpath };
    } catch (error) {
      const said = String((error as { stdout?: string }).stdout ?? error).trim();
      return {
        available: false,
        reason: `Apache Kafka could not be fetched: ${said.slice(0, 300)}`,
      };
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

async function whyMissing(command: string, debianPackage: string): Promise<string | undefined> {
  return await missingCommand(command, debianPackage).catch((error: Error) => error.message);
}

async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (await abandoned(path)) await rm(path, { force: true });
      else await pause(LOCK_POLL_MS);
    }
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function abandoned(path: string): Promise<boolean> {
  try {
    const age = Date.now() - (await stat(path)).mtimeMs;
    const holder = Number(await readFile(path, "utf8"));
    return age > STALE_LOCK_MS || (holder > 0 && !alive(holder));
  } catch {
    return false;
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
