/** What a journal says of large payloads, put together: each by its id, and what became of it. Pure. */
import type { PayloadStored } from "../events/schema.ts";

/** A record as `tidegate tail --all` prints it. */
export interface JournalLine {
  readonly type?: string;
  readonly data?: { readonly payload?: string; readonly reason?: string };
}

export interface PayloadAccount {
  /** Told to be in the store, by id. */
  readonly stored: ReadonlyMap<string, PayloadStored>;
  /** Declared lost, by reason: ids. */
  readonly lost: ReadonlyMap<string, readonly string[]>;
  /** Taken in, and nobody has said what became of them yet. */
  readonly onTheWay: readonly string[];
}

export class PayloadLedger {
  readonly #accepted = new Set<string>();
  readonly #stored = new Map<string, PayloadStored>();
  readonly #lost = new Map<string, string>();

  add({ type, data }: JournalLine): void {
    const id = data?.payload;
    if (id === undefined) return;
    if (type === "tidegate.payload") this.#accepted.add(id);
    // What is said twice is the same.
    else if (type === "tidegate.payload-stored") this.#stored.set(id, data as PayloadStored);
    else if (type === "tidegate.payload-lost") this.#lost.set(id, data?.reason ?? "");
  }

  account(): PayloadAccount {
    const lost = new Map<string, string[]>();
    for (const [id, reason] of this.#lost) {
      if (!this.#stored.has(id)) lost.set(reason, [...(lost.get(reason) ?? []), id]);
    }
    const settled = (id: string) => this.#stored.has(id) || this.#lost.has(id);
    const onTheWay = [...this.#accepted].filter((id) => !settled(id));
    return { stored: this.#stored, lost, onTheWay };
  }
}

/** What was found of an object. */
export type ObjectState = "whole" | "missing" | "changed";

export interface PayloadReport {
  readonly store: string;
  readonly whole: number;
  readonly bytes: number;
  readonly onTheWay: number;
  /** Declared lost, by reason. */
  readonly lost: Readonly<Record<string, number>>;
  /** Deleted as the oldest of a gateway's own directory. */
  readonly expired: number;
  readonly missing: readonly string[];
  readonly changed: readonly string[];
}

/** @param isOwn the store is the gateway's own directory, which deletes its oldest objects */
export function reportOf(
  store: string,
  account: PayloadAccount,
  states: ReadonlyMap<string, ObjectState>,
  isOwn: boolean,
): PayloadReport {
  let bytes = 0;
  let whole = 0;
  let oldest: string | undefined;
  for (const [id, { size }] of account.stored) {
    if (states.get(id) === "missing") continue;
    // Ids begin with the time.
    if (oldest === undefined || id < oldest) oldest = id;
    if (states.get(id) !== "whole") continue;
    whole += 1;
    bytes += size;
  }
  const keys = (state: ObjectState, wanted: (id: string) => boolean) =>
    [...account.stored]
      .filter(([id]) => states.get(id) === state && wanted(id))
      .map(([, { key }]) => key);
  const isExpired = (id: string) => isOwn && oldest !== undefined && id < oldest;
  return {
    store,
    whole,
    bytes,
    onTheWay: account.onTheWay.length,
    lost: Object.fromEntries([...account.lost].map(([reason, ids]) => [reason, ids.length])),
    expired: keys("missing", isExpired).length,
    missing: keys("missing", (id) => !isExpired(id)),
    changed: keys("changed", () => true),
  };
}

const grouped = new Intl.NumberFormat("en");
/** As many of each are named. */
const NAMED = 20;

export function payloadsText(report: PayloadReport): string {
  const { store, whole, bytes, onTheWay, lost, expired, missing, changed } = report;
  const count = (n: number) => grouped.format(n);
  const lines = [
    `Store       ${store}`,
    `Whole       ${count(whole)} objects, ${count(bytes)} bytes`,
    `On the way  ${count(onTheWay)}`,
  ];
  if (expired > 0)
    lines.push(`Expired     ${count(expired)}, the oldest of a directory with a limit`);
  for (const [reason, n] of Object.entries(lost))
    lines.push(`Lost        ${count(n)} declared: ${reason}`);
  const named = (title: string, keys: readonly string[]) => {
    for (const key of keys.slice(0, NAMED)) lines.push(`${title}  ${key}`);
    if (keys.length > NAMED) lines.push(`${title}  … and ${count(keys.length - NAMED)} more`);
  };
  named("Missing   ", missing);
  named("Changed   ", changed);
  const bad = missing.length + changed.length;
  lines.push(
    "",
    bad === 0
      ? "Every object that the journal tells of is there, as it was taken in."
      : `${count(bad)} of the objects that the journal tells of ${bad === 1 ? "is" : "are"} not there as taken in.`,
  );
  return `${lines.join("\n")}\n`;
}
