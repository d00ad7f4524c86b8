/**
 * What the processes with gateways tell of them, line by line, before they go on: which batch they hand to the log, and what their
 * buffers have acknowledged. A line is one write to a file, so kill -9 takes none back; the last one may be cut off.
 */

/** A batch as it was handed to the sink: sequences of one epoch, both included. */
export interface Handed {
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  /** Which life of its process it was. Within one, a batch is handed over only once the log has the one before. */
  readonly life: number;
}

/** Readings that a buffer has acknowledged: `count` of them from a sequence on, the first with this number in it. */
export interface Acknowledged {
  readonly epoch: string;
  readonly from: number;
  readonly count: number;
  readonly number: number;
}

export interface ToldOf {
  readonly handed: Handed[];
  readonly acknowledged: Acknowledged[];
}

/** By gateway. */
export type Told = ReadonlyMap<string, ToldOf>;

export const TELL = {
  life: (life: number) => `life ${life}\n`,
  handed: (gateway: string, { epoch, from, to }: Omit<Handed, "life">) =>
    `handed ${gateway} ${epoch} ${from} ${to}\n`,
  acknowledged: (gateway: string, { epoch, from, count, number }: Acknowledged) =>
    `acknowledged ${gateway} ${epoch} ${from} ${count} ${number}\n`,
} as const;

/** @param texts one for each process, with all its lives in their order */
export function readTold(texts: Iterable<string>): Told {
  const told = new Map<string, ToldOf>();
  for (const text of texts) {
    let life = 0;
    // What does not end with a line break is no line yet.
    for (const line of text.split("\n").slice(0, -1)) {
      const [word, gateway = "", epoch = "", ...numbers] = line.split(" ");
      if (word === "life") {
        life = Number(gateway);
        continue;
      }
      const of = told.get(gateway) ?? { handed: [], acknowledged: [] };
      told.set(gateway, of);
      const [first = 0, second = 0, third = 0] = numbers.map(Number);
      if (word === "handed") of.handed.push({ epoch, from: first, to: second, life });
      else of.acknowledged.push({ epoch, from: first, count: second, number: third });
    }
  }
  return told;
}
