/** Asks the process that has the embedded log open for a rebuild, and follows it. */
import type { RebuildRequest, RebuildSummary } from "../cloud/rebuild.ts";
import type { RebuildProgress } from "../stream/port.ts";
import { CommandError } from "./errors.ts";
import { readRebuildKey } from "./rebuild-key.ts";
import type { RebuildLine } from "./rebuild-routes.ts";

/** @throws CommandError, and what the rebuild says */
export async function rebuildOverHttp(
  dataDir: string,
  base: string,
  request: RebuildRequest,
  signal: AbortSignal,
  onProgress: (progress: RebuildProgress) => void,
): Promise<RebuildSummary> {
  const response = await asked(dataDir, base, request, signal);
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      const line = JSON.parse(text) as RebuildLine;
      if ("progress" in line) onProgress(line.progress);
      else if ("summary" in line) return line.summary;
      else throw new CommandError(line.error.message);
    }
  }
  throw new CommandError(
    `${base} ended in the middle of the rebuild: partitions that were not switched are as they were; run it again`,
  );
}

async function asked(
  dataDir: string,
  base: string,
  request: RebuildRequest,
  signal: AbortSignal,
): Promise<Response> {
  let key: string;
  try {
    key = readRebuildKey(dataDir);
  } catch (error) {
    throw new CommandError(
      `rebuild.key in ${dataDir} cannot be read (${(error as Error).message}): run this as the user that runs Tidegate there`,
    );
  }
  let response: Response;
  try {
    response = await fetch(`${base}/api/v1/rebuild`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify(request),
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new CommandError(
      `nobody answers on ${base}, where the log is (${(error as Error).message})`,
    );
  }
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as { title?: string; message?: string };
  const why = problem.title ?? problem.message ?? `it answered ${response.status}`;
  throw new CommandError(`${base} makes no rebuild: ${why}`);
}
