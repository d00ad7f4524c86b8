/**
 * May this connection publish to this topic, and what becomes of the message? The one place that answers it, for the fast
 * path and for aedes; passwords, access lists and configured routes belong here.
 *
 * Answers are cached for each connection (`RightsCache`) and dropped when the rules change (`changed()`).
 */
import { type BadRoute, matchRoute, type RawFilter, type Route, rawFilter } from "./routes.ts";

interface Allowed {
  readonly topic: string;
  /** Whether somebody subscribes to it, as of a version of the subscriptions: a cache of SubscriberCheck. */
  wanted: boolean;
  wantedAsOf: number;
}

/** A message on an ingest route becomes an event of the journal. */
export interface IngestRight extends Allowed {
  readonly kind: "ingest";
  readonly route: Route | BadRoute;
}

/** Any other is only passed on to subscribers. */
export interface OrdinaryRight extends Allowed {
  readonly kind: "ordinary";
}

export type PublishRight =
  | IngestRight
  | OrdinaryRight
  | { readonly kind: "denied"; readonly reason: string };

/** Topics that are remembered over all connections, about 300 bytes each, and of one. Those beyond are looked at anew. */
const MAX_CACHED = 50_000;
const MAX_CACHED_OF_CONNECTION = 256;

export class PublishRights {
  /** Grows when the rules change; answers of an older one are not valid any more. */
  generation = 1;
  /** Answers in all caches. */
  cached = 0;
  readonly #raw: readonly RawFilter[];

  /** @param rawTopics filters of topics whose payloads are kept as they are */
  constructor(rawTopics: readonly string[] = []) {
    this.#raw = rawTopics.map(rawFilter);
  }

  /** @param _client MQTT client id; undefined for a will whose client is gone */
  right(_client: string | undefined, topic: string): PublishRight {
    if (topic.startsWith("$SYS/")) return { kind: "denied", reason: "$SYS/ is the broker's own" };
    // [MQTT-3.3.2-2]
    if (topic.includes("+") || topic.includes("#")) {
      return { kind: "denied", reason: "a topic with a wildcard" };
    }
    const route = matchRoute(topic, this.#raw);
    return route === undefined
      ? { kind: "ordinary", topic, wanted: true, wantedAsOf: 0 }
      : { kind: "ingest", topic, route, wanted: true, wantedAsOf: 0 };
  }

  /** To be called when rules or routes have changed: every connection asks again. */
  changed(): void {
    this.generation += 1;
  }
}

/** The answers for one connection, found by the bytes of the topic. */
export class RightsCache {
  readonly #rights: PublishRights;
  readonly #client: string;
  #answers = new Map<string, PublishRight>();
  #generation = 0;
  /** The topic before: most devices have one, and comparing it costs less than making a string of it. */
  #lastBytes: Buffer = Buffer.alloc(0);
  #last: PublishRight = { kind: "denied", reason: "" };

  constructor(rights: PublishRights, client: string) {
    this.#rights = rights;
    this.#client = client;
  }

  find(bytes: Buffer, start: number, end: number): PublishRight {
    if (this.#generation !== this.#rights.generation) this.clear();
    if (this.#isLast(bytes, start, end)) return this.#last;
    const key = bytes.toString("latin1", start, end);
    let answer = this.#answers.get(key);
    if (answer === undefined) {
      answer = this.#rights.right(this.#client, bytes.toString("utf8", start, end));
      if (this.#answers.size >= MAX_CACHED_OF_CONNECTION) this.clear();
      if (this.#rights.cached < MAX_CACHED) {
        this.#rights.cached += 1;
        this.#answers.set(key, answer);
      }
    }
    // A copy: a view would keep the whole chunk of the socket alive.
    this.#lastBytes = Buffer.from(bytes.subarray(start, end));
    this.#last = answer;
    return answer;
  }

  /** Also to be called when the connection ends. */
  clear(): void {
    this.#rights.cached -= this.#answers.size;
    this.#answers.clear();
    this.#lastBytes = Buffer.alloc(0);
    this.#generation = this.#rights.generation;
  }

  #isLast(bytes: Buffer, start: number, end: number): boolean {
    const last = this.#lastBytes;
    if (last.length !== end - start) return false;
    for (let i = 0; i < last.length; i += 1) {
      if (last[i] !== bytes[start + i]) return false;
    }
    // A topic has a character at least, so that the empty one means that there was none before.
    return last.length > 0;
  }
}
