/**
 * The way between a gateway and the site: messages take their time, overtake each other, get lost, come twice; the link is
 * down, or half open: requests arrive and answers do not.
 */
import type { LinkSpec } from "../scenario/scenario.ts";
import type { Chance } from "./chance.ts";
import type { RunRecord } from "./record.ts";
import type { Scope } from "./virtual-time.ts";

export class Link {
  readonly #spec: LinkSpec;
  readonly #chance: Chance;
  readonly #record: RunRecord;
  /** Of the world: what is on its way is nobody's. */
  readonly #timers: Scope;
  isDown = false;
  isHalfOpen = false;

  constructor(spec: LinkSpec, chance: Chance, record: RunRecord, timers: Scope) {
    this.#spec = spec;
    this.#chance = chance;
    this.#record = record;
    this.#timers = timers;
  }

  /** From the gateway. */
  request(deliver: () => void): void {
    this.#carry(deliver, this.isDown, "link down");
  }

  /** To the gateway. */
  answer(deliver: () => void): void {
    this.#carry(deliver, this.isDown || this.isHalfOpen, this.isDown ? "link down" : "half open");
  }

  #carry(deliver: () => void, blocked: boolean, fault: string): void {
    if (blocked) {
      this.#record.strike(fault);
      return;
    }
    const { loss, duplicates, latencyMs, jitterMs } = this.#spec;
    if (this.#chance.happens(loss)) {
      this.#record.strike("message lost");
      return;
    }
    const delay = () => latencyMs + this.#chance.between(0, jitterMs);
    this.#timers.setTimeout(deliver, delay());
    if (!this.#chance.happens(duplicates)) return;
    this.#record.strike("message twice");
    // A copy may come much later: after its sender has gone on, or has been restarted.
    this.#timers.setTimeout(deliver, delay() * this.#chance.between(1, 20));
  }
}
