/**
 * Which fault strikes when, whom and for how long: a function of the seed alone. Four lanes go on beside each other, one for brokers
 * and the network, one for processors, one for gateways by the dozen, one for gateways one by one; within a lane one fault is over before the next begins, so that it is
 * known what each of them did. Every kind comes once before any comes again.
 */
import { childSeed, sfc32 } from "../../simulator/random.ts";

export const LANES = ["brokers", "processors", "gateways", "one gateway"] as const;
export type Lane = (typeof LANES)[number];

/** How long something is gone, away, slow: from, to, ms. Brokers are given up after 4 s, members of a group after 6. */
const KINDS = {
  brokers: {
    "kill broker": [200, 8000],
    "kill two brokers": [200, 4000],
    "kill all brokers": [100, 1000],
    "kill everything": [100, 1000],
    "stop broker": [1000, 9000],
    "part broker from brokers": [2000, 15_000],
    "part broker from clients": [1000, 12_000],
    "hang answers": [1000, 8000],
    "refuse connections": [500, 8000],
    "cut connections": [0, 0],
    "slow network": [2000, 8000],
    "lose produce answers": [500, 3000],
    "lose commit answers": [500, 3000],
  },
  processors: {
    "kill processor, state kept": [0, 3000],
    "kill processor, state deleted": [0, 3000],
    "kill processor, older state put back": [0, 3000],
    "kill all processors": [0, 2000],
    "stop processor": [2000, 12_000],
    "end processor in order": [0, 1000],
  },
  gateways: {
    "kill gateways": [0, 3000],
    "kill all gateways": [0, 1500],
    "stop gateways": [1000, 8000],
  },
  "one gateway": {
    "kill one gateway": [0, 2000],
    "kill one gateway twice": [0, 1500],
    "stop one gateway": [1000, 8000],
  },
} as const satisfies Record<Lane, Record<string, readonly [number, number]>>;

export type Kind = { [L in Lane]: keyof (typeof KINDS)[L] & string }[Lane];

export interface Step {
  readonly lane: Lane;
  readonly kind: Kind;
  /** Before it strikes, ms. */
  readonly pauseMs: number;
  readonly lastsMs: number;
  /** In [0, 1): whom it strikes. */
  readonly whom: number;
  /** In [0, 1): how hard. */
  readonly force: number;
}

const LONGEST_PAUSE_MS: Readonly<Record<Lane, number>> = {
  brokers: 3000,
  processors: 6000,
  gateways: 5000,
  "one gateway": 3000,
};
const SHORTEST_PAUSE_MS = 300;

/** Without end. */
export function* schedule(seed: number, lane: Lane): Generator<Step, never> {
  const random = sfc32(childSeed(seed, lane));
  const ranges: Readonly<Record<string, readonly [number, number]>> = KINDS[lane];
  for (;;) {
    for (const kind of shuffled(Object.keys(ranges), random)) {
      const [from, to] = ranges[kind] ?? [0, 0];
      yield {
        lane,
        kind: kind as Kind,
        pauseMs: SHORTEST_PAUSE_MS + random() * (LONGEST_PAUSE_MS[lane] - SHORTEST_PAUSE_MS),
        lastsMs: from + random() * (to - from),
        whom: random(),
        force: random(),
      };
    }
  }
}

export function shuffled<T>(all: readonly T[], random: () => number): T[] {
  return all
    .map((one) => [random(), one] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, one]) => one);
}

/** One of some, by a number in [0, 1). */
export function oneOf<T>(all: readonly T[], whom: number): T {
  return all[Math.min(all.length - 1, Math.floor(whom * all.length))] as T;
}
