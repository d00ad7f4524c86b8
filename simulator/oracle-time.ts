/**
 * When the readings of a journal were true, in the plainest way: the device's time, else the gateway's, else what a clock
 * event of the same boot says of the time since boot. It shares no code with the product's processing.
 */

/** A record of the events topic, decoded. */
export interface JournalEntry {
  readonly gateway: string;
  readonly type: string;
  readonly data: {
    readonly time?: number;
    readonly received?: number;
    readonly clock?: string;
    readonly boot?: string;
    readonly uptime?: number;
    readonly offset?: number;
  };
}

/**
 * @param entries in the order of the log
 * @returns for each entry its time, ms since 1970; undefined for a reading whose boot never told the time
 */
export function trueTimes(entries: readonly JournalEntry[]): (number | undefined)[] {
  const before = offsets(entries);
  const after = offsets(entries.toReversed()).toReversed();
  return entries.map(({ data }, at) => {
    const { time, received, clock, uptime = 0 } = data;
    if (time !== undefined || clock !== "unsynced") return time ?? received;
    // The first that came after it; one that came before has told already.
    const offset = after[at] ?? before[at];
    return offset === undefined ? undefined : offset + uptime;
  });
}

/** For each entry what the last clock event of its boot said, itself and those before it in the list. */
function offsets(entries: readonly JournalEntry[]): (number | undefined)[] {
  const known = new Map<string, number>();
  return entries.map(({ gateway, type, data }) => {
    const boot = JSON.stringify([gateway, data.boot]);
    if (type === "tidegate.clock" && data.offset !== undefined) known.set(boot, data.offset);
    return known.get(boot);
  });
}
