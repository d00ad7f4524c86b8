/**
 * Server-Sent Events: what changes in the read model, pushed to open pages.
 *
 * A page can tell a dead server from a quiet one: something comes at least every `heartbeatMs`. A page that was away for
 * a moment says the last event id it saw and gets what it missed; where that is no longer known, a `reset` tells it to
 * fetch anew. One that reads too slowly is dropped, never queued for without bound; it catches up with a new connection.
 *
 * A page has to tell a quiet log from one that is away as well: `source` says so, and a change of it is told at once.
 *
 * Events: `hello` {time, source, instance, heartbeatMs}, `changes` {time, source, changes, otherDevices},
 * `beat` {time, source}, `reset` {reason}.
 */
import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Change, ReadModel } from "../cloud/read-model/port.ts";
import type { TailStatus } from "../stream/port.ts";
import { type LiveFilter, LiveQueue, RecentChanges } from "./live.core.ts";

/** Changes kept for pages that come back: some seconds of a busy fleet. They share memory with what was pushed. */
const RECENT_CHANGES = 5000;
/** How long a page waits before it connects again after its connection broke, ms. */
const RETRY_MS = 1000;
export interface LiveOptions {
  readonly readModel: ReadModel;
  readonly now: () => number;
  readonly heartbeatMs: number;
  readonly frameMs: number;
  readonly maxClients: number;
  /** A page whose socket stays full for this long is dropped. */
  readonly stallTimeoutMs: number;
}

export interface LiveStatus {
  readonly clients: number;
  readonly droppedSlow: number;
}

interface Client {
  readonly response: ServerResponse;
  readonly queue: LiveQueue;
  /** By the monotonic clock, ms. */
  lastWrite: number;
  /** State of the log as this page was told it. */
  told: TailStatus["state"];
  blockedSince: number | undefined;
}

function eventText(event: string, data: unknown, id?: string): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

export class LiveHub {
  readonly #options: LiveOptions;
  readonly #instance = randomBytes(6).toString("hex");
  readonly #clients = new Set<Client>();
  readonly #recent = new RecentChanges(RECENT_CHANGES);
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;
  #droppedSlow = 0;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#unsubscribe) return;
    this.#unsubscribe = this.#options.readModel.subscribe((changes) => this.#onChanges(changes));
    this.#timer = setInterval(() => this.#push(), this.#options.frameMs);
    this.#timer.unref();
  }

  /** Ends all streams, so that a server that closes does not wait for them. */
  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    clearInterval(this.#timer);
    for (const client of this.#clients) client.response.end();
    this.#clients.clear();
  }

  status(): LiveStatus {
    return { clients: this.#clients.size, droppedSlow: this.#droppedSlow };
  }

  get full(): boolean {
    return this.#clients.size >= this.#options.maxClients;
  }

  #id(sequence: number): string {
    return `${this.#instance}.${sequence}`;
  }

  /** The number in an id of ours; undefined for one of another server or of none. */
  #parseId(id: string): number | undefined {
    const [instance, sequence] = id.split(".");
    if (instance !== this.#instance || !/^[0-9]{1,15}$/.test(sequence ?? "")) return undefined;
    return Number(sequence);
  }

  /** Takes over the response until the page goes or the hub stops. The caller has checked `full`. */
  attach(
    response: ServerResponse,
    headers: Readonly<Record<string, string>>,
    filter: LiveFilter,
    lastEventId: string | undefined,
  ): void {
    response.writeHead(200, {
      ...headers,
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // Buffering proxies would hold heartbeats back and make a live server look dead.
      "x-accel-buffering": "no",
    });
    response.socket?.setNoDelay(true);
    const source = this.#options.readModel.source();
    const client: Client = {
      response,
      queue: new LiveQueue(filter),
      lastWrite: performance.now(),
      told: source.state,
      blockedSince: undefined,
    };
    this.#clients.add(client);
    response.on("close", () => this.#clients.delete(client));
    response.on("error", () => this.#clients.delete(client));
    response.on("drain", () => {
      client.blockedSince = undefined;
    });
    const seen = lastEventId === undefined ? undefined : this.#parseId(lastEventId);
    const missed = seen === undefined ? undefined : this.#recent.since(seen);
    const hello = {
      time: this.#options.now(),
      source,
      instance: this.#instance,
      heartbeatMs: this.#options.heartbeatMs,
    };
    let text = `retry: ${RETRY_MS}\n`;
    if (missed) {
      // No id yet: until the missed changes are pushed, a page that breaks off again has to ask for them again.
      text += eventText("hello", hello);
      for (const batch of missed) client.queue.add(batch.changes, batch.sequence);
    } else {
      text += eventText("hello", hello, this.#id(this.#recent.last));
      if (lastEventId !== undefined) text += eventText("reset", { reason: "unknown-event-id" });
    }
    this.#write(client, text);
  }

  #onChanges(changes: readonly Change[]): void {
    const sequence = this.#recent.push(changes);
    for (const client of this.#clients) client.queue.add(changes, sequence);
  }

  #push(): void {
    const now = performance.now();
    const source = this.#options.readModel.source();
    for (const client of this.#clients) {
      const stalled = now - (client.blockedSince ?? now) > this.#options.stallTimeoutMs;
      if (stalled || client.queue.overflow) {
        this.#drop(client);
        continue;
      }
      // While its socket is full, changes coalesce in the queue instead of growing a list of texts.
      if (client.blockedSince !== undefined) continue;
      const frame = client.queue.take();
      const time = this.#options.now();
      if (frame) {
        const { sequence, ...rest } = frame;
        const id = sequence === undefined ? undefined : this.#id(sequence);
        this.#write(client, eventText("changes", { time, source, ...rest }, id));
      } else if (
        client.told !== source.state ||
        now - client.lastWrite >= this.#options.heartbeatMs
      ) {
        this.#write(client, eventText("beat", { time, source }, this.#id(this.#recent.last)));
      } else continue;
      client.told = source.state;
    }
  }

  #write(client: Client, text: string): void {
    client.lastWrite = performance.now();
    // Until it drains, nothing more is written: one frame is all that ever waits in a socket.
    if (!client.response.write(text)) client.blockedSince ??= client.lastWrite;
  }

  #drop(client: Client): void {
    this.#droppedSlow += 1;
    this.#clients.delete(client);
    client.response.destroy();
  }
}
