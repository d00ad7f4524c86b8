/** A rebuild in memory: what a switch would write, over a live state and records to replay. */
import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import { MemoryStates, writeChanges } from "../../stream/local-state.ts";
import type { EncodedChange } from "../../stream/partition-state.ts";
import type { Output, RebuildPlan, StoredRecord } from "../../stream/port.ts";
import { exchangeParts } from "../../stream/rebuild/exchange.ts";
import { Replay } from "../../stream/rebuild/replay.ts";

export interface Rebuilt {
  /** From the switch on. */
  readonly state: ReadonlyMap<string, unknown>;
  readonly changed: readonly string[];
  readonly outputs: readonly Output[];
}

export async function rebuilt(
  plan: RebuildPlan,
  live: ReadonlyMap<string, unknown>,
  records: readonly StoredRecord[],
): Promise<Rebuilt> {
  const states = new MemoryStates();
  const [was, made] = [states.of("live", 0), states.of("made", 0)] as const;
  await writeChanges(
    was,
    [...live].map(([key, value]) => ({ key, value: encodeCbor(value) })),
  );
  const replay = new Replay(plan.replay, made);
  await replay.begin();
  const { signal } = new AbortController();
  await replay.take(records, signal);
  await replay.flush();
  const changed: string[] = [];
  const outputs: Output[] = [];
  const { first, last } = replay;
  const changes: EncodedChange[] = [];
  const of = { partition: 0, live: was, made, first, last };
  for await (const part of exchangeParts(plan, of, signal)) {
    changes.push(...part.changes);
    outputs.push(...part.outputs);
  }
  changed.push(...changes.map(({ key }) => key));
  await writeChanges(was, changes);
  const state = new Map<string, unknown>();
  for await (const some of was.entries()) {
    for (const [key, value] of some) state.set(key.toString(), decodeCbor(value));
  }
  return { state, changed, outputs };
}

/** What a compacted topic comes to when these follow. */
export function seenIn(
  before: ReadonlyMap<string, unknown>,
  topic: string,
  outputs: readonly Output[],
): Map<string, unknown> {
  const view = new Map(before);
  for (const output of outputs) {
    if (output.topic !== topic) continue;
    if (output.event === null) view.delete(output.key);
    else view.set(output.key, decodeCbor(encodeCbor(output.event)));
  }
  return view;
}
