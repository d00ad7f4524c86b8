/**
 * The event log for commands that only look: Kafka where brokers are set; else the running process of the data
 * directory, asked over HTTP; else, when none runs, the embedded store itself.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AuditReport } from "../cloud/audit.core.ts";
import type { CloudSettings } from "../cloud/config.ts";
import { cloudTopologies } from "../cloud/topics.ts";
import { type EventLog, EventLogError, type Topology } from "../stream/port.ts";
import { auditLog } from "./audit-log.ts";
import { createEventLog, IMPATIENT, type LogSettings } from "./connect-log.ts";
import { CommandError } from "./errors.ts";
import { topicOf } from "./log-routes.ts";
import { createLogger } from "./logger.ts";
import { recordJson } from "./record-json.ts";
import { readRunFile } from "./run-file.ts";
import { tailRecords } from "./tail-records.ts";

/** Where the demo keeps its data, in the data directory. */
const DEMO = "demo";

/** By topology. */
export type Lag = ReadonlyMap<string, number>;

export interface OpenedLog {
  /** Lines of JSON, each ended. Resolves at the end, or with `follow` when the signal says so. */
  tail(
    entity: string,
    request: { readonly last: number; readonly follow: boolean },
    signal: AbortSignal,
    onLines: (lines: string) => Promise<void>,
  ): Promise<void>;
  audit(): Promise<AuditReport>;
  /** Records that each topology has not processed yet; undefined where it cannot be asked. */
  lag(): Promise<Lag | undefined>;
  /** Nobody else has it open, so nothing moves in it. */
  readonly still: boolean;
  close(): Promise<void>;
}

export async function openLog(
  settings: LogSettings & Pick<CloudSettings, "rollups"> & { readonly log_level: string },
  program: string,
): Promise<OpenedLog> {
  const running = settings.kafka.brokers.length === 0 ? readRunFile(settings.data_dir) : undefined;
  if (running && running.program !== "gateway") return overHttp(running.http);
  if (settings.kafka.brokers.length === 0) {
    const nothing = whyNoLog(settings.data_dir);
    if (nothing !== undefined) throw new CommandError(nothing);
  }
  const log = createEventLog(settings, program, createLogger(settings.log_level), IMPATIENT);
  await log.start();
  const { namespace } = settings;
  return {
    tail: (entity, request, signal, onLines) =>
      tailRecords(log, { topic: topicOf(namespace, entity), ...request }, signal, (records) =>
        onLines(records.map((record) => `${JSON.stringify(recordJson(record))}\n`).join("")),
      ),
    audit: () => auditLog(log, namespace),
    lag: () => lagIn(log, cloudTopologies(namespace, settings, [])),
    still: log.kind === "embedded",
    close: () => log.stop(),
  };
}

/** Says what is there instead, and what to type; undefined where there is an event log. */
export function whyNoLog(dataDir: string): string | undefined {
  const holds = (...path: string[]) => existsSync(join(dataDir, ...path));
  if (holds("log")) return undefined;
  const lead = `there is no event log in ${dataDir}`;
  if (holds("gateway.json") && holds("buffer")) {
    return `${lead}: the gateway whose directory this is forwards to Kafka; name that with --brokers HOST:PORT`;
  }
  if (holds(DEMO, "log")) {
    // Not through join(), which would take the ./ away that the user reads everywhere else.
    const demo = `${dataDir.replace(/\/+$/, "")}/${DEMO}`;
    return `${lead}; the demo's is in ${demo}: add --data-dir ${demo}`;
  }
  return `${lead}: name the directory with --data-dir, or Kafka with --brokers`;
}

/** @param url of a running `tidegate start`. @throws CommandError where it is none */
export function openLogAt(url: string): OpenedLog {
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new CommandError(`${url} is no address: write it like http://127.0.0.1:8080`);
  }
  return overHttp(url.replace(/\/+$/, ""));
}

async function lagIn(log: EventLog, topologies: readonly Topology[]): Promise<Lag> {
  const lag = new Map<string, number>();
  for (const topology of topologies) {
    try {
      lag.set(topology.name, await log.behind(topology));
    } catch (error) {
      // Where nobody has made the topics yet there is nothing to process.
      if ((error as { code?: string }).code !== "unknown_topic") throw error;
    }
  }
  return lag;
}

/** Of the metrics' text. */
function lagOf(metrics: string): Lag | undefined {
  const line = /^tidegate_topology_lag_records\{topology="([^"]*)"\} (\d+)$/gm;
  const found = [...metrics.matchAll(line)];
  if (found.length === 0) return undefined;
  return new Map(found.map(([, topology = "", lag]) => [topology, Number(lag)]));
}

function overHttp(base: string): OpenedLog {
  const get = async (path: string, signal?: AbortSignal): Promise<Response> => {
    let response: Response;
    try {
      response = await fetch(`${base}${path}`, signal ? { signal } : {});
    } catch (error) {
      throw new CommandError(
        `nobody answers on ${base}, where the log is (${(error as Error).message})`,
      );
    }
    if (response.ok) return response;
    const problem = (await response.json().catch(() => ({}))) as { title?: string };
    throw new EventLogError(
      response.status === 404 ? "unknown_topic" : "unreachable",
      problem.title ?? `${base} answered ${response.status}`,
    );
  };
  return {
    async tail(entity, { last, follow }, signal, onLines) {
      const query = Number.isFinite(last) ? `last=${last}` : "all=true";
      try {
        const response = await get(`/api/v1/log/${entity}?${query}&follow=${follow}`, signal);
        const decoder = new TextDecoder();
        for await (const chunk of response.body ?? []) {
          await onLines(decoder.decode(chunk, { stream: true }));
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    audit: async () => (await (await get("/api/v1/audit")).json()) as AuditReport,
    lag: async () => lagOf(await (await get("/metrics")).text()),
    still: false,
    close: async () => {},
  };
}
