/**
 * The set of topic filters that somebody subscribes to, and whether one of them matches a topic. Pure.
 *
 * A trie by levels, as everybody's: what it answers costs a few steps for each level of the topic, however many filters
 * there are. It only says yes or no; aedes finds out who.
 */
interface Level {
  readonly below: Map<string, Level>;
  /** Subscriptions whose filter ends here. */
  count: number;
}

const level = (): Level => ({ below: new Map(), count: 0 });

export class SubscriptionFilters {
  readonly #root = level();
  #size = 0;

  /** Subscriptions, the same filter counted as often as it was added. */
  get size(): number {
    return this.#size;
  }

  add(filter: string): void {
    let at = this.#root;
    for (const name of filter.split("/")) {
      let next = at.below.get(name);
      if (!next) {
        next = level();
        at.below.set(name, next);
      }
      at = next;
    }
    at.count += 1;
    this.#size += 1;
  }

  /** One subscription less; nothing where there is none. */
  remove(filter: string): void {
    const way: [Level, string][] = [];
    let at = this.#root;
    for (const name of filter.split("/")) {
      const next = at.below.get(name);
      if (!next) return;
      way.push([at, name]);
      at = next;
    }
    if (at.count === 0) return;
    at.count -= 1;
    this.#size -= 1;
    for (const [above, name] of way.reverse()) {
      const below = above.below.get(name);
      if (!below || below.count > 0 || below.below.size > 0) return;
      above.below.delete(name);
    }
  }

  matches(topic: string): boolean {
    if (this.#size === 0) return false;
    // [MQTT-4.7.2-1] Filters that begin with a wildcard do not match topics that begin with $.
    return matchFrom(this.#root, topic.split("/"), 0, topic.startsWith("$"));
  }
}

function matchFrom(at: Level, names: readonly string[], i: number, exact: boolean): boolean {
  // [MQTT-4.7.1-2] `#` stands for its parent level too.
  if (!exact && (at.below.get("#")?.count ?? 0) > 0) return true;
  const name = names[i];
  if (name === undefined) return at.count > 0;
  const same = at.below.get(name);
  if (same && matchFrom(same, names, i + 1, false)) return true;
  const any = exact ? undefined : at.below.get("+");
  return any !== undefined && matchFrom(any, names, i + 1, false);
}
