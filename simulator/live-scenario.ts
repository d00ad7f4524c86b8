/**
 * A scenario in a test's hands: a gateway's link is slower, lossier, gone, and back to what was written; its clock is set.
 *
 * The world reads what a link is like with each message (simulator/world/network.ts), and its checks ask which clocks were set
 * (check-times.ts). So a started fleet has a copy of its own of what its scenario says of both, and changes that.
 */
import { QUANTITIES, type QuantityName } from "./scenario/friendly.core.ts";
import type { LinkSpec, Scenario } from "./scenario/scenario.ts";

/** What a link is like; what is left out stays as it is. */
export interface LinkQuality {
  /** One way: `"2s"`, or ms. */
  readonly latency?: number | string;
  /** Added at random, up to so much; what it comes to may overtake. */
  readonly jitter?: number | string;
  /** Chance that a request or an answer is lost: `"20%"`, or 0.2. */
  readonly loss?: number | string;
  /** Chance that it comes twice. */
  readonly duplicates?: number | string;
  /** Nothing gets through, until `down: false`. */
  readonly down?: boolean;
}

type Changeable = { -readonly [Key in keyof LinkSpec]: LinkSpec[Key] };

interface Kept {
  readonly spec: Changeable;
  readonly written: LinkSpec;
  readonly jumps: { readonly at: number; readonly byMs: number }[];
  loss: number;
  isDown: boolean;
}

/** Each key with its name in the scenario and how it is written. */
const KEYS = {
  latency: ["latencyMs", "duration"],
  jitter: ["jitterMs", "duration"],
  loss: ["loss", "share"],
  duplicates: ["duplicates", "share"],
} as const satisfies Record<string, readonly [keyof LinkSpec, QuantityName]>;

export class LiveScenario {
  /** The same fleet, whose links and clocks are these. */
  readonly scenario: Scenario;
  readonly #gateways: readonly Kept[];

  constructor(scenario: Scenario) {
    this.#gateways = scenario.gateways.map(({ link, clock }) => {
      const jumps = [...clock.jumps];
      return { spec: { ...link }, written: link, jumps, loss: link.loss, isDown: false };
    });
    const gateways = scenario.gateways.map((gateway, at) => {
      const { spec, jumps } = this.#gateways[at] as Kept;
      return { ...gateway, link: spec, clock: { ...gateway.clock, jumps } };
    });
    this.scenario = { ...scenario, gateways };
  }

  /** @throws RangeError for what cannot be read; nothing is changed then */
  change(gateway: number, quality: LinkQuality): void {
    const kept = this.#gateways[gateway] as Kept;
    const changes = Object.entries(quality)
      .filter(([key, value]) => key !== "down" && value !== undefined)
      .map(([key, value]) => read(key, value));
    for (const [key, value] of changes) {
      if (key === "loss") kept.loss = value;
      else kept.spec[key] = value;
    }
    kept.isDown = quality.down ?? kept.isDown;
    kept.spec.loss = kept.isDown ? 1 : kept.loss;
  }

  /** A clock of which it is said that it was set is not believed to have been right. */
  jumped(gateway: number, at: number, byMs: number): void {
    (this.#gateways[gateway] as Kept).jumps.push({ at, byMs });
  }

  /** As the scenario says. */
  restore(gateway: number): void {
    const { spec, written } = this.#gateways[gateway] as Kept;
    Object.assign(this.#gateways[gateway] as Kept, { loss: written.loss, isDown: false });
    Object.assign(spec, written);
  }

  restoreAll(): void {
    for (const at of this.#gateways.keys()) this.restore(at);
  }
}

type NumberKey = (typeof KEYS)[keyof typeof KEYS][0];

function read(key: string, value: unknown): [NumberKey, number] {
  if (!Object.hasOwn(KEYS, key)) {
    throw new RangeError(`a link has no ${key}; it has ${Object.keys(KEYS).join(", ")}, down`);
  }
  const [name, quantity] = KEYS[key as keyof typeof KEYS];
  const isMs = quantity === "duration" && typeof value === "number" && value >= 0;
  const found = isMs && Number.isFinite(value) ? value : QUANTITIES[quantity].read(value);
  if (found === undefined) {
    throw new RangeError(
      `${key} is ${JSON.stringify(value)}; it must be ${QUANTITIES[quantity].hint}`,
    );
  }
  return [name, found];
}
