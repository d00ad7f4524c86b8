/**
 * The stream of changes of one view. A server that is quiet for two heartbeats is called dead, within 5 s, and is called
 * again until it answers; what was missed comes by the last event id, or the view is told to fetch anew.
 *
 * A browser allows six connections to one server: a page that nobody looks at gives its own back, so that the seventh
 * tab works too, and catches up when it is looked at again.
 */
import { signal } from "@preact/signals";
import type { Change } from "../../cloud/read-model/port.ts";
import { apiUrl } from "./api.ts";
import type { Info } from "./api-types.ts";
import { clock, connection, source as logSource, now, serverNow } from "./state.ts";

/** Until the server says how often it can be heard, ms. */
const DEFAULT_HEARTBEAT_MS = 2000;
/** A page in the background keeps its stream this long: switching between tabs costs nothing, ms. */
const HIDDEN_GRACE_MS = 30_000;
/** How often a dead server is called, ms. */
const CALL_AGAIN_MS = 1500;
const WATCH_MS = 250;

export interface LiveHandlers {
  /** Fetch everything: the stream begins now, and what changed before is not in it. */
  onFresh(): void;
  onChanges(changes: readonly Change[], otherDevices: number): void;
}

/** What the events of dashboard/live.ts carry, all together. */
interface PushData {
  /** Missing in `reset`. */
  readonly time?: number;
  readonly source?: Info["source"];
  readonly heartbeatMs?: number;
  readonly changes?: readonly Change[];
  readonly otherDevices?: number;
}

/** Pushes received since the page was opened; the sign of life in the header follows it. */
export const pushes = signal(0);

/** Said with every beat; only what is new moves the page. */
function hearSource(said: Info["source"]): void {
  const known = logSource.value;
  const isSame =
    said.state === known.state && said.since === known.since && said.lastError === known.lastError;
  if (!isSame) logSource.value = said;
}

export class LiveStream {
  readonly #handlers: LiveHandlers;
  #query: string;
  #source: EventSource | undefined;
  #lastEventId = "";
  #fresh = false;
  #heartbeatMs = DEFAULT_HEARTBEAT_MS;
  #lastHeard = performance.now();
  #lastOpened = 0;
  #hiddenSince: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(query: URLSearchParams, handlers: LiveHandlers) {
    this.#query = query.toString();
    this.#handlers = handlers;
  }

  start(): void {
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#timer = setInterval(() => this.#watch(), WATCH_MS);
    this.#lastHeard = performance.now();
    this.#open();
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.#onVisibility);
    clearInterval(this.#timer);
    this.#close();
  }

  /** Listens to something else from now on; what changed in between is not lost. */
  listenTo(query: URLSearchParams): void {
    const text = query.toString();
    if (text === this.#query) return;
    this.#query = text;
    if (this.#source) this.#open();
  }

  #open(): void {
    this.#close();
    this.#lastOpened = performance.now();
    const query = new URLSearchParams(this.#query);
    if (this.#lastEventId) query.set("last_event_id", this.#lastEventId);
    const source = new EventSource(apiUrl("live", query));
    this.#source = source;
    const on = (name: string, handle: (data: PushData) => void) =>
      source.addEventListener(name, (event) => {
        if (this.#source !== source) return;
        const data = JSON.parse(event.data) as PushData;
        if (data.time !== undefined) this.#heard(data.time, event.lastEventId);
        if (data.source) hearSource(data.source);
        handle(data);
      });
    on("hello", (data) => {
      this.#heartbeatMs = data.heartbeatMs ?? DEFAULT_HEARTBEAT_MS;
      if (!this.#fresh) this.#refresh();
    });
    on("reset", () => this.#refresh());
    on("beat", () => {});
    on("changes", (data) => {
      pushes.value += 1;
      this.#handlers.onChanges(data.changes ?? [], data.otherDevices ?? 0);
    });
  }

  #close(): void {
    this.#source?.close();
    this.#source = undefined;
  }

  #refresh(): void {
    this.#fresh = true;
    this.#handlers.onFresh();
  }

  #heard(time: number, lastEventId: string): void {
    this.#lastHeard = performance.now();
    if (lastEventId) this.#lastEventId = lastEventId;
    clock.heard(time, this.#lastHeard);
    if (connection.value.state !== "live") {
      connection.value = { state: "live" };
      now.value = serverNow();
    }
  }

  #watch(): void {
    const moment = performance.now();
    if (this.#hiddenSince !== undefined) {
      if (this.#source && moment - this.#hiddenSince > HIDDEN_GRACE_MS) this.#close();
      return;
    }
    const silence = moment - this.#lastHeard;
    if (silence > this.#heartbeatMs * 2 && connection.value.state !== "dead") {
      connection.value = { state: "dead", since: serverNow() - silence };
    }
    // The browser calls again by itself after an error, but neither when a socket just hangs nor after a refusal.
    const given = moment - this.#lastOpened;
    const closed = this.#source?.readyState === EventSource.CLOSED;
    if ((silence > this.#heartbeatMs * 2 || closed) && given > CALL_AGAIN_MS) this.#open();
  }

  #onVisibility = (): void => {
    if (document.visibilityState === "hidden") {
      this.#hiddenSince = performance.now();
      return;
    }
    this.#hiddenSince = undefined;
    if (this.#source) return;
    this.#lastHeard = performance.now();
    this.#open();
  };
}
