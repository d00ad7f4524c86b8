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
  return entries.map(({ gateway, data }, at) => {
    const { time, received, clock, boot, uptime = 0 } = data;
    if (time !== undefined || clock !== "unsynced") return time ?? received;
    const tells = (entry: JournalEntry) =>
      entry.type === "tidegate.clock" && entry.gateway === gateway && entry.data.boot === boot;
    // The first that came after it; one that came before has told already.
    const told = entries.slice(at).find(tells) ?? entries.slice(0, at).findLast(tells);
    return told?.data.offset === undefined ? undefined : told.data.offset + uptime;
  });
}
