/**
 * Rollups.java as something to start: its jars from Maven Central, kept between runs, and its classes, compiled anew for each.
 * Where that cannot be had the answer is a reason, not a crash.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { missingCommand } from "../../test/debian.ts";
import { KAFKA_VERSION, kafkaCacheFolder } from "../../test/kafka/kafka-jars.ts";

const run = promisify(execFile);

const CBOR_VERSION = "2.21.2";
const SLF4J_VERSION = "1.7.36";

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tidegate.bench</groupId><artifactId>kafka-streams</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-streams</artifactId><version>${KAFKA_VERSION}</version></dependency>
<dependency><groupId>com.fasterxml.jackson.dataformat</groupId><artifactId>jackson-dataformat-cbor</artifactId><version>${CBOR_VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>${SLF4J_VERSION}</version></dependency>
</dependencies></project>
`;

/**
 * The heap holds the record cache (128 MiB) and what is under way. The parallel collector took less processor time here than
 * G1, which is Java's own choice on two cores, and the serial one.
 */
const JAVA_FLAGS = [
  "-Xmx512m",
  "-XX:+UseParallelGC",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
];

export type StreamsProgram =
  | { readonly available: true; readonly command: readonly string[] }
  | { readonly available: false; readonly reason: string };

/** @param directory where the classes go */
export async function streamsProgram(directory: string): Promise<StreamsProgram> {
  try {
    const missing =
      (await missingCommand("javac", "default-jdk-headless")) ??
      (await missingCommand("mvn", "maven"));
    if (missing) return { available: false, reason: missing };
    const classpath = join(await jars(), "*");
    const classes = join(directory, "classes");
    const source = join(import.meta.dirname, "Rollups.java");
    await run("javac", ["-cp", classpath, "-d", classes, source]);
    const command = ["java", ...JAVA_FLAGS, "-cp", `${classes}:${classpath}`, "Rollups"];
    return { available: true, command };
  } catch (error) {
    const { stdout, stderr, message } = error as Error & { stdout?: string; stderr?: string };
    return { available: false, reason: (stdout || stderr || message).trim().slice(0, 300) };
  }
}

/** Filled beside and renamed: all of them or none. @throws Error of Maven */
async function jars(): Promise<string> {
  const folder = join(dirname(kafkaCacheFolder()), `kafka-streams-${KAFKA_VERSION}`);
  if (existsSync(folder)) return folder;
  await mkdir(dirname(folder), { recursive: true });
  const work = await mkdtemp(`${folder}-`);
  try {
    await writeFile(join(work, "pom.xml"), POM);
    const into = join(work, "libs");
    const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"];
    await run("mvn", ["-q", "-B", ...goal, `-DoutputDirectory=${into}`], { cwd: work });
    await rename(into, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}
