/**
 * Does anybody subscribe to this topic, connected or in a persistent session that is away? Readings go through aedes only
 * where the answer is yes: that costs more than storing them.
 *
 * It counts every filter that aedes listens to and every one that a persistent session holds, so that it may say yes for
 * a subscription that has just ended, and never no for one that aedes would serve.
 */
import type { IngestRight, OrdinaryRight } from "./publish-rights.ts";
import { SubscriptionFilters } from "./subscription-filters.core.ts";

/** aedes' emitter (mqemitter), as far as it is listened to here. */
export interface Emitter {
  on(filter: string, listener: unknown, done?: () => void): unknown;
  removeListener(filter: string, listener: unknown, done?: () => void): unknown;
}

export class SubscriberCheck {
  readonly #filters = new SubscriptionFilters();
  /** Grows with each change: answers of an older one are asked for again. */
  #version = 1;

  /** Sees every subscription that the emitter serves from now on. */
  watch(emitter: Emitter): void {
    const on = emitter.on.bind(emitter);
    const removeListener = emitter.removeListener.bind(emitter);
    emitter.on = (filter, listener, done) => {
      this.add(filter);
      return on(filter, listener, done);
    };
    emitter.removeListener = (filter, listener, done) =>
      removeListener(filter, listener, () => {
        this.remove(filter);
        done?.();
      });
  }

  add(filter: string): void {
    // [MQTT-4.7.2-1] Nothing that is taken in has such a topic.
    if (filter.startsWith("$")) return;
    this.#filters.add(filter);
    this.#version += 1;
  }

  remove(filter: string): void {
    if (filter.startsWith("$")) return;
    this.#filters.remove(filter);
    this.#version += 1;
  }

  wanted(right: IngestRight | OrdinaryRight): boolean {
    if (right.wantedAsOf !== this.#version) {
      right.wanted = this.#filters.matches(right.topic);
      right.wantedAsOf = this.#version;
    }
    return right.wanted;
  }
}
