/**
 * How much goes into one batch, so that the link takes it within a moment. Pure.
 *
 * A batch is frozen: too large for the link it would run into the request's time limit each time it is sent, and it must
 * not be made smaller. So the first ones are small, and they grow with what the link has shown that it takes. On a good
 * link that is over after a few batches; on one of a few kB a second it keeps them at what takes about a second. Larger
 * ones compress better: there is no reason to be smaller than that.
 */

/** What was sent last. */
export interface SentBatch {
  /** Of its values. */
  readonly bytes: number;
  /** How long the try took that was acknowledged, ms. */
  readonly ms: number;
  readonly tries: number;
}

/** A batch that takes about this long is as large as it should be, ms. */
const TARGET_MS = 1000;
/** Of values; a quarter of it on the wire, which the slowest of links takes within a request's time. */
export const FIRST_BYTES = 32 * 1024;
const LEAST_BYTES = 4 * 1024;

/**
 * @param size the most that was allowed until now, bytes of values
 * @param most the most there may ever be
 */
export function nextBatchBytes(size: number, sent: SentBatch, most: number): number {
  const least = Math.min(LEAST_BYTES, most);
  if (sent.tries > 1) return Math.max(least, Math.floor(size / 2));
  if (sent.ms > 2 * TARGET_MS) {
    const taken = Math.min(size, sent.bytes);
    return Math.max(least, Math.floor((taken * TARGET_MS) / sent.ms));
  }
  // A batch that was not full says nothing of what a full one would take. One that was read while the one before was on its
  // way is full at half of what is allowed by now.
  const full = sent.bytes > size / 3;
  return full && sent.ms < TARGET_MS / 2 ? Math.min(most, size * 2) : size;
}
