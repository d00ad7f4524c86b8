/**
 * What the group has committed for a partition, and the word beside it: a rebuild that switches a partition says in the
 * offsets' metadata that it holds it, in the transaction with which it takes it over. Whoever it was taken from asks for that
 * word before it takes it back, because two that want it would fence each other for ever.
 *
 * The word says how long the hold lasts from when it is first seen, so that nobody's clock matters; and it is gone with the
 * next commit of whoever it is. A rebuild that died holds a partition up for that time and no longer.
 */
import type { KafkaSession } from "./session.ts";

const HOLD = /^tidegate rebuild (\S+) holds this for (\d+) ms$/;

export interface Hold {
  /** Of the one that holds. */
  readonly token: string;
  readonly ms: number;
}

export interface GroupOffsets {
  /** Next offset of each input; none where nothing was ever committed. */
  readonly offsets: ReadonlyMap<string, number>;
  readonly hold: Hold | undefined;
}

export function holdText({ token, ms }: Hold): string {
  return `tidegate rebuild ${token} holds this for ${ms} ms`;
}

export async function groupOffsets(
  session: KafkaSession,
  groupId: string,
  inputs: readonly string[],
  partition: number,
): Promise<GroupOffsets> {
  const { responses } = await session.use(inputs, async (connection) => {
    const coordinator = await connection.coordinator("group", groupId);
    const topics = inputs.map((topic) => ({ topic, partitions: [{ partition }] }));
    return await coordinator.offsetFetch({ groupId, topics });
  });
  const found = responses.map(({ topic, partitions: [one] }) => ({
    topic,
    offset: Number(one?.offset ?? -1),
    hold: HOLD.exec(one?.metadata ?? ""),
  }));
  const held = found.find(({ hold }) => hold)?.hold;
  return {
    offsets: new Map(
      found.filter(({ offset }) => offset >= 0).map(({ topic, offset }) => [topic, offset]),
    ),
    hold: held ? { token: held[1] ?? "", ms: Number(held[2]) } : undefined,
  };
}

/** How long a hold is still to be waited for, by when it was first seen. */
export class HoldWatch {
  readonly #moment: () => number;
  #token: string | undefined;
  #seen = 0;

  constructor(moment: () => number) {
    this.#moment = moment;
  }

  /** @returns ms; 0 where the partition is free */
  leftMs(hold: Hold | undefined): number {
    if (!hold) return 0;
    if (hold.token !== this.#token) {
      this.#token = hold.token;
      this.#seen = this.#moment();
    }
    return Math.max(0, this.#seen + hold.ms - this.#moment());
  }
}
