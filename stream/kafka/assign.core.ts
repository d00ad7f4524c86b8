/**
 * Who of a consumer group gets which partitions: all inputs of a topology are partitioned alike, so a member gets a
 * partition number, and with it that partition of every input. Members keep what they have as far as shares allow,
 * because a partition that moves has to be restored elsewhere.
 */

export interface GroupMemberView {
  readonly id: string;
  /** Partitions that it worked on until now. */
  readonly owned: readonly number[];
}

/** Shares differ by one at most. The same input gives the same answer in whatever order members come. */
export function assignPartitions(
  members: readonly GroupMemberView[],
  partitions: number,
): Map<string, number[]> {
  const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const free = new Set(Array.from({ length: partitions }, (_, partition) => partition));
  const shares = new Map<string, number[]>();
  const least = Math.floor(partitions / sorted.length);
  let larger = partitions % sorted.length;
  const take = (share: number[], wanted: Iterable<number>, limit: number) => {
    for (const partition of wanted) {
      if (share.length >= limit) return;
      if (free.delete(partition)) share.push(partition);
    }
  };
  // Those who had most may keep the larger shares.
  const byOwned = sorted.toSorted((a, b) => b.owned.length - a.owned.length);
  const limits = new Map<string, number>();
  for (const member of byOwned) {
    limits.set(member.id, larger > 0 ? least + 1 : least);
    larger--;
    const share: number[] = [];
    shares.set(member.id, share);
    take(share, member.owned, limits.get(member.id) ?? least);
  }
  for (const member of sorted) {
    take(shares.get(member.id) ?? [], [...free], limits.get(member.id) ?? least);
  }
  for (const share of shares.values()) share.sort((a, b) => a - b);
  return shares;
}
