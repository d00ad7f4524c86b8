/** What a run came to, for people. */
import type { ClusterReport } from "./cluster-run.ts";

export function told({ struck, verdict, loadMs, catchUpMs }: ClusterReport): string {
  const faults = [...struck].toSorted(([a], [b]) => a.localeCompare(b));
  const total = faults.reduce((sum, [, count]) => sum + count, 0);
  const seconds = loadMs / 1000;
  const { acknowledged, readings, repeats, repeatedBatches, rollups, alerts } = verdict;
  return [
    "| fault | times |",
    "| --- | ---: |",
    ...faults.map(([kind, count]) => `| ${kind} | ${count} |`),
    `| all | ${total} |`,
    "",
    `acknowledged ${acknowledged} readings in ${seconds.toFixed(0)} s, ${(acknowledged / seconds).toFixed(0)} a second; ${readings} in the topic`,
    `standing twice: ${repeats} records in ${repeatedBatches} whole batches`,
    `${rollups} windows, ${alerts} changes of alerts; caught up ${(catchUpMs / 1000).toFixed(1)} s after the last fault`,
  ].join("\n");
}
