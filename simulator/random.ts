/**
 * Chance that can be repeated: everything here is a function of a seed, so that a run of the simulator is told by one
 * number. Two kinds: a generator (`sfc32`) for choices made in order, and hashes of (seed, index) for noise that must be
 * the same whenever a moment is asked for, in any order.
 */

/** A seed for a part of a run: parts neither share their numbers nor shift when another part is added. */
export function childSeed(seed: number, name: string): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = 0; at < name.length; at += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  }
  return scramble(hash);
}

/** Murmur3's finalizer: each bit of the input changes about half of the output's. */
function scramble(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * @param index any safe integer, negative too
 * @returns a number in [0, 1), always the same for the same seed and index
 */
export function uniformAt(seed: number, index: number): number {
  const high = Math.floor(index / 2 ** 32);
  return scramble(scramble(seed ^ Math.imul(high, 0x9e3779b1)) ^ (index | 0)) / 2 ** 32;
}

/** Normal distribution, mean 0, deviation 1 (Box and Muller), cut at about 6.6. */
export function normalAt(seed: number, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(seed, index)));
  return radius * Math.cos(2 * Math.PI * uniformAt(seed ^ 0x5bd1e995, index));
}

/** Chris Doty-Humphrey's small fast counter: 128 bits of state, good for all that a simulator asks. */
export function sfc32(seed: number): () => number {
  let a = scramble(seed);
  let b = scramble(seed ^ 0x9e3779b9);
  let c = scramble(seed ^ 0x243f6a88);
  let counter = 1;
  const next = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  // The first numbers still show what the state was filled with.
  for (let round = 0; round < 12; round += 1) next();
  return next;
}
