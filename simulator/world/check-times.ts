/**
 * Are the times that a gateway gave true? The world knows when each boot began; what an event says of its boot's time, and of
 * the time since then, is held against that. Only for gateways whose time service sets the clock and whom nobody gives a
 * wrong one: what a clock shows otherwise, nobody but the world can know to be wrong.
 */
import type { Stamp } from "../../events/schema.ts";
import { type JournalRecord, journalEvents } from "../oracle-journal.ts";
import type { World } from "./world.ts";

/** Slewing and rounding, and what clock.core.ts takes for the same, ms. */
const TOLERANCE_MS = 4100;

export function checkTimes(world: World, events: readonly JournalRecord[]): readonly string[] {
  const trusted = new Map(
    world.gateways
      .filter(({ spec }) => spec.clock.syncAfterMs !== undefined && spec.clock.jumps.length === 0)
      .map((gateway) => [gateway.name, gateway.clock.boots]),
  );
  const problems: string[] = [];
  for (const { gateway, id, type, data } of journalEvents(events)) {
    const { boot = "", uptime = 0, received, clock } = (data ?? {}) as Partial<Stamp>;
    const booted = trusted.get(gateway)?.get(boot);
    if (booted === undefined) continue;
    if (type === "tidegate.clock" && off((data as { readonly offset: number }).offset, booted)) {
      problems.push(
        `${gateway} ${id} says that ${boot} began at ${(data as { readonly offset: number }).offset}, it was ${booted}`,
      );
    }
    const known = clock === "synced" || clock === "restamped";
    if (known && received !== undefined && off(received, booted + uptime)) {
      problems.push(
        `${gateway} ${id} was received at ${booted + uptime}, it says ${received} (${clock})`,
      );
    }
  }
  return problems;
}

function off(said: number, is: number): boolean {
  return Math.abs(said - is) > TOLERANCE_MS;
}
