/**
 * Closed windows of one series, packed: the minutes of one hour, or the hours of one day, as one state entry. Windows
 * by themselves would be a hundred thousand entries a series, each dearer in memory than what it holds; the runtime on
 * Kafka keeps all state in memory. Pure; a pack is never changed in place.
 *
 * A pack is a flat list of numbers, five for each window, in no order: [index, count, min, max, sum, index, …].
 */

export type Aggregate = readonly [count: number, min: number, max: number, sum: number];
export type Pack = readonly number[];

const WIDTH = 5;

export function lookUp(pack: Pack | undefined, index: number): Aggregate | undefined {
  if (!pack) return undefined;
  const at = position(pack, index);
  if (at < 0) return undefined;
  const [count, min, max, sum] = pack.slice(at + 1, at + WIDTH) as unknown as Aggregate;
  return [count, min, max, sum];
}

/** The pack with the window in it, in the place of what stood there. */
export function packed(pack: Pack | undefined, index: number, aggregate: Aggregate): Pack {
  const entry = [index, ...aggregate];
  if (!pack) return entry;
  const at = position(pack, index);
  return at < 0 ? [...pack, ...entry] : pack.toSpliced(at, WIDTH, ...entry);
}

/** Indexes of the windows in a pack. */
export function indexes(pack: Pack): number[] {
  return pack.filter((_, at) => at % WIDTH === 0);
}

function position(pack: Pack, index: number): number {
  for (let at = 0; at < pack.length; at += WIDTH) if (pack[at] === index) return at;
  return -1;
}

export function merged(old: Aggregate | undefined, value: number): Aggregate {
  if (!old) return [1, value, value, value];
  const [count, min, max, sum] = old;
  return [count + 1, Math.min(min, value), Math.max(max, value), finite(sum + value)];
}

/** An infinite sum is no event any more (numbers are finite), and the window with its count would be lost with it. */
function finite(sum: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, sum));
}
