/**
 * Keys of the read model's store. Numbers are written so that the order of the text is their order; names have no `/`
 * in them (see events/ids.ts), so no key is the beginning of another's prefix.
 *
 *   v                                    format
 *   p/<topic>/<partition>                next offset to read
 *   g/<gateway>                          status
 *   e/<gateway>                          event time of its newest event
 *   l/<gateway>/<epoch>                  ledger entry
 *   d/<gateway>/<device>                 device
 *   w/<resolution>/<series>/<window>     [count, min, max, sum, revision]
 *   r/<hour>/<device key>/<time>/<id>    metrics of one raw reading
 *   b/<hour>                             bytes of the raw readings of that hour
 *   a/<alert>                            alert that is pending or firing
 *   h/<changed>/<position>               a change of an alert
 *   i/<alert>/<changed>/<position>       the same, found by alert
 *   n/history                            how many changes there are
 */

/** Times that a Date can hold; a name for any other would sort wrong. */
const MAX_TIME = 8.64e15;
const TIME_DIGITS = 11;

/** ms since 1970, rounded down, as text in the order of time. */
export function timeText(ms: number): string {
  const bounded = Math.max(-MAX_TIME, Math.min(MAX_TIME, Math.floor(ms)));
  return (bounded + MAX_TIME).toString(36).padStart(TIME_DIGITS, "0");
}

export function textTime(text: string): number {
  return Number.parseInt(text, 36) - MAX_TIME;
}

/** A whole number from 0, as text in its order. */
export function numberText(number: number): string {
  return number.toString(36).padStart(TIME_DIGITS, "0");
}

const HOUR_MS = 3_600_000;

/** Start of the hour that a raw reading is filed under. */
export function hourOf(time: number): number {
  return Math.floor(time / HOUR_MS) * HOUR_MS;
}
