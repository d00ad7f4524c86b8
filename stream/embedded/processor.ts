/** A topology that runs: one task for each partition of its inputs. A bug in its step fails it alone, as a whole. */
import assert from "node:assert/strict";
import type { Processor, ProcessorStatus, Topology } from "../port.ts";
import { EventLogError } from "../port.ts";
import { CaughtUp, type Goals } from "./caught-up.ts";
import type { InputLane } from "./input-lane.ts";
import { PartitionTask, type TaskContext } from "./partition-task.ts";
import type { Running } from "./running.ts";
import type { Store } from "./store.ts";

export class EmbeddedProcessor implements Processor {
  readonly topology: Topology;
  readonly #store: Store;
  readonly #running: Running<EmbeddedProcessor>;
  readonly #caughtUp = new CaughtUp();
  #tasks: readonly PartitionTask[] = [];
  #stopping: AbortController | undefined;
  #over: Promise<unknown> = Promise.resolve();
  #failure: Error | undefined;
  /** What each partition that waits waits for. */
  #faults = new Map<number, string>();
  #recordsProcessed = 0;
  #commitMs = 0;
  #commits = 0;

  constructor(store: Store, topology: Topology, running: Running<EmbeddedProcessor>) {
    this.topology = topology;
    this.#store = store;
    this.#running = running;
  }

  /** @throws EventLogError `closed`, `unknown_topic`, `invalid` */
  async start(): Promise<void> {
    if (this.#stopping) return;
    const { inputs: names, name, outputs: named } = this.topology;
    assert(names.length > 0, `${name} has no input`);
    const inputs = names.map((input) => this.#store.topic(input));
    const outputs = new Map(
      named.map((one) => [
        one.topic,
        { topic: this.#store.topic(one.topic), coalesce: one.coalesce },
      ]),
    );
    const partitions = inputs[0]?.heads.length ?? 0;
    if (inputs.some((topic) => topic.heads.length !== partitions)) {
      throw new EventLogError("invalid", `the inputs of ${name} differ in their partitions`);
    }
    this.#running.add(this);
    this.#failure = undefined;
    this.#faults = new Map();
    const stopping = new AbortController();
    this.#stopping = stopping;
    this.#tasks = Array.from({ length: partitions }, (_, partition) => {
      const context: TaskContext = {
        store: this.#store,
        topology: this.topology,
        outputs,
        onCommit: (records, ms) => {
          this.#recordsProcessed += records;
          this.#commitMs += ms;
          this.#commits++;
          this.#caughtUp.check();
        },
        onLoaded: () => this.#caughtUp.check(),
        onWaiting: (fault) => {
          if (fault === undefined) this.#faults.delete(partition);
          else this.#faults.set(partition, fault);
        },
      };
      return new PartitionTask(context, inputs, partition);
    });
    this.#caughtUp.begin();
    this.#over = Promise.all(this.#tasks.map((task) => this.#run(task, stopping)));
  }

  async stop(): Promise<void> {
    if (!this.#stopping) return;
    this.#stopping.abort();
    await this.#over;
    this.#stopping = undefined;
    this.#failure = undefined;
    this.#caughtUp.end(new EventLogError("closed", `${this.topology.name} is stopped`));
    this.#running.delete(this);
  }

  status(): ProcessorStatus {
    const lastError = this.#failure?.message ?? this.#faults.values().next().value;
    return {
      state: this.#state(),
      partitions: this.#lanes().map((lane) => ({
        topic: lane.topic.name,
        partition: lane.partition,
        position: lane.done,
        end: lane.end,
        ...(lane.since === undefined ? {} : { since: lane.since }),
      })),
      recordsProcessed: this.#recordsProcessed,
      commits: this.#commits,
      commitMs: this.#commitMs,
      // State is where the log is.
      restoring: 0,
      restored: 0,
      ...(lastError === undefined ? {} : { lastError }),
    };
  }

  caughtUp(signal?: AbortSignal): Promise<void> {
    return this.#caughtUp.wait(
      (): Goals => this.#lanes().map((lane) => [lane, lane.end] as const),
      signal,
    );
  }

  #lanes(): InputLane[] {
    return this.#tasks.flatMap((task) => task.lanes);
  }

  #state(): ProcessorStatus["state"] {
    if (!this.#stopping) return "stopped";
    if (this.#failure) return "failed";
    return this.#faults.size > 0 ? "waiting" : "running";
  }

  async #run(task: PartitionTask, stopping: AbortController): Promise<void> {
    try {
      await task.run(stopping.signal);
    } catch (error) {
      // The store was closed below it, or this is the answer to stop().
      if (stopping.signal.aborted) return;
      this.#failure = error as Error;
      this.#store.settings.logger.error(
        { err: error, topology: this.topology.name },
        "processor failed",
      );
      stopping.abort();
      this.#caughtUp.end(error);
    }
  }
}
