/**
 * The alerts of a fleet that runs, as its log has them now. Reading takes virtual time, and a site without power answers
 * nobody: then what was read last is what is known.
 */
import { decodeEvent } from "../events/codec.ts";
import type { Alert } from "../events/schema.ts";
import { topicNames } from "../events/topics.ts";
import { NAMESPACE, type World } from "./world/world.ts";

/** A disk in virtual time answers at once, or not at all, ms. */
const PATIENCE_MS = 100;

export class LiveAlerts {
  readonly #world: World;
  #known: readonly Alert[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Every change so far, in the order of the log. */
  async read(): Promise<readonly Alert[]> {
    const { site, time } = this.#world;
    if (!site.cloud) return this.#known;
    let answered = false;
    const reading = site.read(topicNames(NAMESPACE).alerts).then(
      (records) => {
        answered = true;
        this.#known = records.map(({ value }) =>
          decodeEvent("tidegate.alert", value as Uint8Array),
        );
      },
      () => {
        // It lost its power meanwhile.
        answered = true;
      },
    );
    const until = time.now + PATIENCE_MS;
    while (!answered && time.now < until) await this.#world.runUntil(time.now + 1);
    if (answered) await reading;
    return this.#known;
  }
}
