/** What went over the wire between a client and Kafka, by what it was for. */
import type { KafkaProxy } from "../test/kafka/kafka-proxy.ts";
import { API_KEYS } from "../test/kafka/kafka-proxy.ts";

/** Of IPv4 (20) and TCP with its timestamps (32), and what a packet of 1500 bytes carries beside them. */
const HEADER_BYTES = 52;
const SEGMENT_BYTES = 1448;
/** Topic and client id stand within so many bytes of a request's begin. */
const NAMES_WITHIN = 200;

export interface Wire {
  /** Requests that carry readings. */
  readonly requests: number;
  /** Of these, and of their answers. */
  readonly there: number;
  readonly back: number;
  /** The gateway's state, in its own topic, both ways. */
  readonly status: number;
  /** All else, both ways: connecting, asking for leaders. */
  readonly rest: number;
  /** Computed: IP and TCP headers of all this, as packets of 1500 bytes with every other one acknowledged. */
  readonly headers: number;
}

const NOTHING: Wire = { requests: 0, there: 0, back: 0, status: 0, rest: 0, headers: 0 };

export function totalOf({ there, back, status, rest }: Wire): number {
  return there + back + status + rest;
}

export class WireCount {
  readonly #topics: readonly string[];
  #now: Wire = NOTHING;

  /** @param topics that readings go to */
  constructor(proxy: KafkaProxy, topics: readonly string[]) {
    this.#topics = topics;
    proxy.onExchange = (request, answer) => this.#count(request, answer);
  }

  /** What went over since the last call. */
  take(): Wire {
    const taken = this.#now;
    this.#now = NOTHING;
    return taken;
  }

  #count(request: Buffer, answer: number): void {
    const { length } = request;
    const names = request.subarray(0, NAMES_WITHIN);
    const now = this.#now;
    const headers = now.headers + headersOf(length, answer);
    if (request.readInt16BE(4) !== API_KEYS.produce) {
      this.#now = { ...now, headers, rest: now.rest + length + answer };
    } else if (this.#topics.some((topic) => names.includes(topic))) {
      const { requests, there, back } = now;
      const after = { requests: requests + 1, there: there + length, back: back + answer };
      this.#now = { ...now, headers, ...after };
    } else this.#now = { ...now, headers, status: now.status + length + answer };
  }
}

function headersOf(request: number, answer: number): number {
  const [there, back] = [request, answer].map((bytes) => Math.ceil(bytes / SEGMENT_BYTES));
  // The answer acknowledges the end of the request; nothing that is sent soon acknowledges the answer.
  const acknowledgements = Math.floor((there ?? 0) / 2) + 1;
  return HEADER_BYTES * ((there ?? 0) + (back ?? 0) + acknowledgements);
}
