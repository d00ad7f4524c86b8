/**
 * Whose turn a partition of a topology is: its processor's, or a rebuild's that switches it. The processor has it until it is
 * asked, gives it up between two commits, and begins again from what is on disk when it gets it back.
 */

export interface Turn {
  /** Aborted when somebody else wants it. */
  readonly wanted: AbortSignal;
  end(): void;
}

interface Waiting {
  readonly urgent: boolean;
  readonly begin: (turn: Turn) => void;
}

interface Queue {
  readonly waiting: Waiting[];
  wanted: AbortController;
}

export class Turns {
  readonly #queues = new Map<string, Queue>();

  /** Waits until those before have ended theirs. @param urgent asks them to */
  async take(topology: string, partition: number, urgent: boolean): Promise<Turn> {
    const name = `${topology}/${partition}`;
    const queue = this.#queues.get(name);
    if (!queue) return this.#begin(name, { waiting: [], wanted: new AbortController() });
    const { promise, resolve } = Promise.withResolvers<Turn>();
    // First come, first served: one that ends its turn and wants it again at once comes behind.
    queue.waiting.push({ urgent, begin: resolve });
    if (urgent) queue.wanted.abort();
    return await promise;
  }

  #begin(name: string, queue: Queue): Turn {
    queue.wanted = new AbortController();
    this.#queues.set(name, queue);
    if (queue.waiting.some((one) => one.urgent)) queue.wanted.abort();
    let over = false;
    return {
      wanted: queue.wanted.signal,
      end: () => {
        if (over) return;
        over = true;
        const next = queue.waiting.shift();
        if (next) next.begin(this.#begin(name, queue));
        else this.#queues.delete(name);
      },
    };
  }
}
