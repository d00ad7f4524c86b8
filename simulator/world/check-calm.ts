/**
 * What holds of a gateway that nothing happens to, and of every event: things that an oracle of the journal cannot know to be
 * missing, because the journal alone does not say that they had to be there.
 */
import type { Loss, Stamp } from "../../events/schema.ts";
import { type JournalEvent, type JournalRecord, journalEvents } from "../oracle-journal.ts";
import { BATCH_EVENTS, type GatewayNode } from "./gateway-node.ts";
import type { World } from "./world.ts";

/** Less than the product waits for its clock, with room for the way of a batch, ms. */
const SYNCED_IN_TIME_MS = 4 * 60_000;
/** A commit, some batches and their answers over the slowest link that is none of the rough ones, and the log's commit, ms. */
const AT_ONCE_MS = 5000;
/** A request of a gateway that was there before the site is sent again after ten seconds. */
const STARTED_MS = 25_000;
/** The disks at both ends, ms. */
const SYNCS_MS = 50;
/** A cap that no run comes near. */
const ROOMY_BYTES = 1024 ** 2;

export function calmProblems(world: World, records: readonly JournalRecord[]): readonly string[] {
  const events = journalEvents(records);
  const problems = events.flatMap(mistimed);
  const own = Map.groupBy(events, ({ gateway }) => gateway);
  for (const [at, gateway] of world.gateways.entries()) {
    const journal = own.get(gateway.name) ?? [];
    if (world.gateways.some((one) => one !== gateway && one.name === gateway.name)) continue;
    problems.push(...refusing(gateway, journal));
    if (world.troubled(at)) continue;
    problems.push(...silent(world, gateway, journal), ...timeless(gateway, journal));
    problems.push(...slow(world, gateway, journal));
  }
  return problems;
}

/** The time in an event's header is that of its content: the device's, or when it was received. */
function mistimed({ gateway, id, type, data, record }: JournalEvent): readonly string[] {
  if (type !== "tidegate.reading" || !data) return [];
  const { time, received } = data as { readonly time?: number; readonly received: number };
  const said = Date.parse(record.headers.ce_time ?? "");
  const is = time ?? received;
  return said === is ? [] : [`${gateway} ${id} is of ${is}, its header says ${said}`];
}

/** A buffer that refuses gives nothing up. */
function refusing(
  { spec, name }: GatewayNode,
  journal: readonly JournalEvent[],
): readonly string[] {
  if (spec.buffer.policy !== "refuse") return [];
  return journal
    .filter(({ type, data }) => type === "tidegate.loss" && (data as Loss).reason === "full")
    .map(({ id }) => `${name} refuses where it is full, and has declared a loss: ${id}`);
}

/** One that runs tells so, as often as it says. */
function silent(
  world: World,
  gateway: GatewayNode,
  journal: readonly JournalEvent[],
): readonly string[] {
  if (gateway.spec.buffer.capacityBytes < ROOMY_BYTES) return [];
  const beats = journal.filter(({ type }) => type === "tidegate.heartbeat").length;
  const least = Math.floor(world.scenario.durationMs / world.beatMs) - 1;
  return beats >= least
    ? []
    : [`${gateway.name} ran all the time and has ${beats} heartbeats, ${least} at least are due`];
}

/** Where nothing is in the way, what was accepted is in the log within moments. */
function slow(
  { scenario, disturbed }: World,
  { spec, name, testimony }: GatewayNode,
  journal: readonly JournalEvent[],
): readonly string[] {
  const { link, clock, buffer } = spec;
  const { logAway, power, processorKills, writeErrors } = scenario.site;
  const outages = [logAway, power, processorKills, writeErrors, link.down, link.halfOpen];
  if (outages.some(({ at, random }) => at.length > 0 || random)) return [];
  if (disturbed || isBusy(spec)) return [];
  if (link.loss > 0 || clock.syncAfterMs !== 0 || clock.jumps.length > 0) return [];
  if (buffer.capacityBytes < ROOMY_BYTES) return [];
  return journal.flatMap(({ id, epoch, sequence, record }) => {
    const offered = testimony.offered.get(epoch)?.get(sequence);
    if (offered === undefined || offered < STARTED_MS) return [];
    const took = record.timestamp - scenario.start - offered;
    return took > AT_ONCE_MS ? [`${name} ${id} took ${took} ms to the log`] : [];
  });
}

/** Its devices say more than it can send at once, a few at a time and each time over the link and back. */
function isBusy({ link, devices }: GatewayNode["spec"]): boolean {
  const roundTripMs = 2 * (link.latencyMs + link.jitterMs) + SYNCS_MS;
  const leastPerMs = Math.min(...BATCH_EVENTS) / roundTripMs;
  let perMs = 0;
  let atOnce = 0;
  for (const { everyMs, behaviour } of devices) {
    const { sleep, offline, maxQueued } = behaviour;
    perMs += 1 / everyMs;
    if (sleep) atOnce += Math.min(maxQueued, sleep.everyMs / everyMs);
    if (offline && (offline.at.length > 0 || offline.random)) atOnce += maxQueued;
  }
  return perMs > leastPerMs / 2 || atOnce / leastPerMs > AT_ONCE_MS / 2;
}

/** What waits for its time, and gets it before it is sent, has it. */
function timeless(
  { spec, name }: GatewayNode,
  journal: readonly JournalEvent[],
): readonly string[] {
  const { syncAfterMs, jumps } = spec.clock;
  if (syncAfterMs === undefined || syncAfterMs > SYNCED_IN_TIME_MS || jumps.length > 0) return [];
  return journal
    .filter(({ data }) => (data as Partial<Stamp> | undefined)?.clock === "unsynced")
    .map(({ id }) => `${name} knew the time in time, and ${id} was sent without`);
}
