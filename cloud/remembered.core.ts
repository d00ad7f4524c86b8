/**
 * What is made of the same few texts for record after record, made once. The keys of the state above all: to put one
 * together and to hash it costs more than to find what stands under it, and a text that is kept has its hash with it.
 * Pure: what is forgotten is made again.
 */

/** @param most kept at once, about */
export function remembered<Key extends string, Value>(
  make: (key: Key) => Value,
  most = 10_000,
): (key: Key) => Value {
  const known = new Map<Key, Value>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = make(key);
    if (known.size >= most) known.clear();
    known.set(key, made);
    return made;
  };
}

/** Likewise of two texts, many of the second to one of the first. */
export function rememberedPair<First extends string, Second extends string, Value>(
  make: (first: First, second: Second) => Value,
  most = 50_000,
): (first: First, second: Second) => Value {
  const known = new Map<First, Map<Second, Value>>();
  let size = 0;
  return (first, second) => {
    const found = known.get(first)?.get(second);
    if (found !== undefined) return found;
    const made = make(first, second);
    if (size >= most) {
      known.clear();
      size = 0;
    }
    const of = known.get(first) ?? new Map<Second, Value>();
    known.set(first, of);
    of.set(second, made);
    size += 1;
    return made;
  };
}
