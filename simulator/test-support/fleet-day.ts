/** A day of a fleet as its journals: devices at one reading a minute, heartbeats of their gateways every ten seconds. */
import type { JournalRecord } from "../oracle-journal.ts";
import { HandJournal, NOON } from "./oracle-records.ts";

export function fleetDay(gateways: number, devicesEach: number): JournalRecord[] {
  const offsets = { next: 0 };
  const journals = Array.from(
    { length: gateways },
    (_, at) => new HandJournal(`gw-${at}`, `${at}`.padStart(10, "0"), offsets),
  );
  const records = journals.map((journal) => journal.opening());
  for (let second = 0; second < 86_400; second += 10) {
    for (const journal of journals) {
      journal.now = NOON + second * 1000;
      records.push(journal.heartbeat());
      if (second % 60 !== 0) continue;
      for (let device = 0; device < devicesEach; device += 1) {
        const t = Math.round(10 * Math.sin(second / 7000 + device)) - 5;
        const time = NOON + second * 1000 + device;
        records.push(journal.reading(`d-${device}`, { t, u: device }, { time, clock: "device" }));
      }
    }
  }
  return records;
}
