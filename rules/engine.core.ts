/**
 * The alert engine: (rule, what it remembers of a series, reading) → what it remembers now, and the change if there
 * is one. Pure: all time comes with the input, so a replay makes the same alerts.
 *
 * Life of an alert: clear → pending → firing → clear (told as `resolved`); with `for: 0s` it fires at once. An episode
 * is one way through it and is called by the id of the event that began it.
 *
 * What counts as time:
 *  - Readings are taken in the order of the journal. Where the device gave the time, one that is before the newest that
 *    was taken says nothing about now and is passed over: a late reading makes no alert flap. At the same time the later
 *    one counts. Where the gateway gave it, the order of the journal is the order of time, whatever its clock showed.
 *  - Between two readings `for` is measured in the device's time where it gave one. Else, and from a reading to a heartbeat
 *    (which carries on a sensor that speaks once and then keeps its value), by the gateway's own clock: by its monotonic
 *    part within one boot, so that a clock being set makes no alert fire. A gateway that is silent lets no time pass.
 *  - `age` is how old a reading was when the log got it. Beyond the rule's freshness the change is historical: it stands
 *    in the history and pages nobody. An alert that fired historically and is confirmed by a fresh reading fires again,
 *    in the same episode, as current.
 *
 * Values that are not finite numbers are passed over.
 */
import type { AlertState, MetricValue } from "../events/schema.ts";
import { exceeds, type Rule } from "./rule.ts";

/** A moment on the gateway's clock. */
export interface Moment {
  /** ms since 1970; undefined where the gateway did not know. */
  readonly received?: number;
  readonly boot: string;
  /** ms since boot. */
  readonly uptime: number;
}

export interface RuleReading {
  /** Event id. */
  readonly id: string;
  /** Event time, ms since 1970. */
  readonly time: number;
  /** Whose time that is. */
  readonly timed: "device" | "gateway";
  /** No reading can be newer: a memory of a later one was a clock's mistake. */
  readonly latest: number;
  readonly value: MetricValue;
  readonly moment: Moment;
  /** ms from the event to its arrival in the log. */
  readonly age: number;
}

export interface RuleTime {
  readonly moment: Moment;
  readonly age: number;
}

/** An alert under way. */
export interface Episode {
  readonly phase: "pending" | "firing";
  readonly id: string;
  /** Event time of the reading that began it, and the gateway's clock then. */
  readonly since: number;
  readonly sinceMoment: Moment;
  readonly value: number;
  readonly historical: boolean;
}

export interface Memory {
  /** Event time of the newest reading taken. */
  readonly newest: number;
  readonly episode?: Episode;
}

export interface AlertChange {
  readonly state: AlertState;
  readonly episode: string;
  readonly value: number;
  readonly since: number;
  /** Event time of the change. */
  readonly changed: number;
  readonly historical: boolean;
  /** On `resolved`: whether the episode had fired, or only was pending. */
  readonly fired?: boolean;
}

export interface Evaluation {
  /** The very same object where nothing changed. */
  readonly memory: Memory | undefined;
  readonly change?: AlertChange;
}

export function evaluate(rule: Rule, memory: Memory | undefined, reading: RuleReading): Evaluation {
  const { time, value } = reading;
  if (typeof value !== "number" || !Number.isFinite(value)) return { memory };
  const late = memory !== undefined && time < memory.newest && memory.newest <= reading.latest;
  if (late && reading.timed === "device") return { memory };
  const historical = reading.age > rule.freshnessMs;
  const holds = exceeds(rule.when, value);
  const old = memory?.episode;

  if (!old) {
    if (!holds) return { memory: { newest: time } };
    const began: Episode = {
      phase: rule.forMs === 0 ? "firing" : "pending",
      id: reading.id,
      since: time,
      sinceMoment: momentOf(reading.moment),
      value,
      historical,
    };
    return told(time, began, began.phase, time);
  }
  const ends = old.phase === "firing" && rule.clear ? exceeds(rule.clear, value) : !holds;
  if (ends) {
    const change = changeOf({ ...old, value, historical }, "resolved", time);
    return { memory: { newest: time }, change };
  }
  const next: Episode = { ...old, value, historical };
  if (old.phase === "pending") {
    const held =
      reading.timed === "device" ? time - old.since : elapsed(old.sinceMoment, reading.moment);
    if (held < rule.forMs) return { memory: { newest: time, episode: next } };
    return told(time, { ...next, phase: "firing" }, "firing", time);
  }
  // Once current it stays current: a single old reading does not take an alert back that somebody was paged for.
  if (old.historical && !historical) return told(time, next, "firing", time);
  return { memory: { newest: time, episode: { ...next, historical: old.historical } } };
}

/** A heartbeat: the gateway's journal has come to this moment. */
export function passTime(rule: Rule, memory: Memory, { moment, age }: RuleTime): Evaluation {
  const { episode, newest } = memory;
  if (episode?.phase !== "pending" || elapsed(episode.sinceMoment, moment) < rule.forMs) {
    return { memory };
  }
  const historical = episode.historical || age > rule.freshnessMs;
  const changed = moment.received ?? episode.since + elapsed(episode.sinceMoment, moment);
  return told(newest, { ...episode, phase: "firing", historical }, "firing", changed);
}

/** Ends an episode whose rule is gone. */
export function withdraw(
  memory: Memory,
  { moment, age }: RuleTime,
  freshnessMs: number,
): Evaluation {
  if (!memory.episode) return { memory };
  const episode = { ...memory.episode, historical: age > freshnessMs };
  const changed = moment.received ?? memory.newest;
  return { memory: undefined, change: changeOf(episode, "resolved", changed) };
}

/** ms from one moment to another of the same gateway; over a reboot at least since that, whatever its clock showed. */
function elapsed(from: Moment, to: Moment): number {
  if (from.boot === to.boot) return to.uptime - from.uptime;
  if (from.received === undefined || to.received === undefined) return to.uptime;
  return Math.max(to.uptime, to.received - from.received);
}

function momentOf({ received, boot, uptime }: Moment): Moment {
  return received === undefined ? { boot, uptime } : { received, boot, uptime };
}

function told(newest: number, episode: Episode, state: AlertState, changed: number): Evaluation {
  return { memory: { newest, episode }, change: changeOf(episode, state, changed) };
}

function changeOf(episode: Episode, state: AlertState, changed: number): AlertChange {
  const { id, value, since, historical } = episode;
  const fired = state === "resolved" ? { fired: episode.phase === "firing" } : {};
  return { state, episode: id, value, since, changed, historical, ...fired };
}
