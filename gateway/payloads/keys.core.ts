/** Ids of payloads and their places in an object store. Pure. */

/** Letters of an id: 12 of the time, 12 of chance. */
const ID = /^[0-9a-f]{24}$/;
const TIME_LETTERS = 12;

/** Ids sort in the order in which they are given, also behind those of an earlier run. */
export class PayloadIds {
  #last = 0;

  /** It is in use: those that are given come behind it. */
  seen(id: string): void {
    this.#last = Math.max(this.#last, Number.parseInt(id.slice(0, TIME_LETTERS), 16));
  }

  /**
   * @param now ms since 1970, right or wrong
   * @param random 6 random bytes: ids are unique for ever, whatever the clock says
   */
  next(now: number, random: Uint8Array): string {
    this.#last = Math.max(this.#last + 1, Math.max(0, Math.floor(now)));
    return (
      this.#last.toString(16).padStart(TIME_LETTERS, "0") + Buffer.from(random).toString("hex")
    );
  }
}

export function isPayloadId(text: string): boolean {
  return ID.test(text);
}

/**
 * `gateway/day/id.extension`: by the day, because that is how pictures are looked for and thrown away.
 * @param received ms since 1970; undefined where nobody knew the time
 */
export function objectKey(
  gateway: string,
  id: string,
  received: number | undefined,
  extension: string,
): string {
  return `${gateway}/${received === undefined ? "undated" : dayOf(received)}/${id}${extension}`;
}

function dayOf(ms: number): string {
  const valid = ms >= 0 && ms < 253_402_300_800_000;
  return valid ? new Date(ms).toISOString().slice(0, 10) : "undated";
}

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/;

/** Whether it is a key as we make them: no other ever becomes a path. */
export function isObjectKey(key: string): boolean {
  return key.length <= 256 && key.split("/").every((segment) => SEGMENT.test(segment));
}
