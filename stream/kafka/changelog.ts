/**
 * The changelog of one partition of a topology, and how a copy of the state is brought to its end. Whoever has taken the
 * partition over marks the end first, so that it knows what must be in the copy; who only looks takes what is there.
 */
import { decodeCbor } from "../../events/codec.ts";
import { type Checkpoint, type LocalState, writeChanges } from "../local-state.ts";
import type { EncodedChange } from "../partition-state.ts";
import type { Topology } from "../port.ts";
import { CommitRecords } from "./commit-records.ts";
import { StaleLeaderFault } from "./faults.ts";
import type { KafkaSettings } from "./options.ts";
import { readToEnd } from "./read.ts";
import type { CommitOffset, PartitionTransactions } from "./transactions.ts";

/** A key of the changelog that no state can have: where the positions of the inputs stand. */
export const POSITION_KEY = "\u0000position";
/** Another, under which nothing ever stands: what is written when a partition is taken over. */
const END_KEY = "\u0000end";

export interface ChangelogContext {
  readonly settings: KafkaSettings;
  readonly topology: Pick<Topology, "name" | "changelog">;
  readonly groupId: string;
  /** So many records of the changelog were read to bring the state here. */
  restored(records: number): void | Promise<void>;
}

export class Changelog {
  readonly #context: ChangelogContext;
  readonly #partition: number;
  readonly #copy: LocalState;

  constructor(context: ChangelogContext, partition: number, copy: LocalState) {
    this.#context = context;
    this.#partition = partition;
    this.#copy = copy;
  }

  /**
   * Commits a record that says nothing. A broker that has lost the others may still be asked for the changelog, and gives the
   * state of before; but it cannot commit, so whoever has this record has all that was committed before it.
   * @param offsets of the inputs, to be committed with it
   * @returns its offset
   */
  async markEnd(
    transactions: PartitionTransactions,
    signal: AbortSignal,
    offsets: readonly CommitOffset[] = [],
  ): Promise<number> {
    const { topology, groupId } = this.#context;
    const partition = this.#partition;
    const records = new CommitRecords(topology.name, new Map(), Number.POSITIVE_INFINITY);
    records.plain(topology.changelog, partition, END_KEY, null);
    await transactions.commit({ parts: records.parts(), groupId, offsets }, signal);
    const offset = transactions.lastOffsetOf(topology.changelog, partition);
    // The answer was lost, and the broker knows the record without its place: it is written once more.
    if (offset === undefined) throw new StaleLeaderFault(topology.changelog, partition);
    return offset;
  }

  /**
   * Brings the copy to the end of the changelog.
   * @param end of what must be in it; -1 where nobody knows
   * @returns where the inputs are, undefined where nothing says so
   */
  async restore(
    end: number,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, number>> | undefined> {
    const { settings, topology } = this.#context;
    const { limits, now, logger } = settings;
    const found = await this.#copy.checkpoint();
    const fresh = found && Math.abs(now() - found.at) < limits.stateCopyMs;
    let checkpoint = fresh ? await this.#apply(found, end, signal) : undefined;
    if (!checkpoint) {
      if (found) {
        const why = fresh ? "the changelog is not the one it was made of" : "it is too old";
        const of = { topology: topology.name, partition: this.#partition, why };
        logger.info(of, "the copy of the state is made again from the changelog");
      }
      await this.#copy.clear();
      checkpoint = await this.#apply(undefined, end, signal);
    }
    return checkpoint && (decodeCbor(checkpoint.positions) as Record<string, number>);
  }

  /**
   * Writes what the changelog has from the checkpoint on into the copy.
   * @returns the checkpoint of its end; undefined where the checkpoint is not of this changelog, or nothing is in it
   */
  async #apply(
    from: Checkpoint | undefined,
    end: number,
    signal: AbortSignal,
  ): Promise<Checkpoint | undefined> {
    const { settings, topology } = this.#context;
    const begin = new Map(from ? [[this.#partition, from.offset]] : []);
    let known = from === undefined;
    let checkpoint: Checkpoint | undefined;
    const { changelog } = topology;
    const only = { partition: this.#partition, knownOffset: end };
    for await (const part of readToEnd(settings, changelog, begin, signal, only)) {
      const changes: EncodedChange[] = [];
      const records = part.records.filter(({ key }) => key !== END_KEY);
      for (const { key, value, offset } of records) {
        if (!known && from) {
          const same = key === POSITION_KEY && value && offset === from.offset;
          if (!same || Buffer.compare(value, from.positions) !== 0) return undefined;
          known = true;
        }
        if (key === POSITION_KEY && value) {
          checkpoint = { offset, positions: value, at: settings.now() };
        } else if (key !== null) changes.push({ key, value });
      }
      if (changes.length > 0) await writeChanges(this.#copy, changes);
      await this.#context.restored(records.length);
    }
    if (!checkpoint) return undefined;
    await this.#copy.begin().write(checkpoint);
    return checkpoint;
  }
}
