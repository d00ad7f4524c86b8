/**
 * The alert topology: the rules' engine over each series they are about, its memory in state, each change in the
 * history and the last one in the alert-state topic. Pure.
 *
 * An alert is `rule@gateway/device/metric` for as long as the rule has that name; an episode is called by the event
 * that began it. Neither a replay nor a batch that comes twice makes a second one.
 *
 * Time passes by the gateway's heartbeats, which prove that everything accepted before has come; the wall clock of the
 * cloud makes no alert fire. Rules may change between runs: an alert whose rule is gone, or no longer about its series,
 * is resolved with the gateway's next heartbeat.
 *
 * The state says which rules it goes by, and which ones whoever made it was configured with. After a rebuild with other rules
 * those of the state count for every process that is still configured with the ones before; a process that was
 * configured otherwise since goes by its own.
 *
 * State: `rules` → those rules; `memory/<alert>` → what the engine remembers; `active/<gateway>/<alert>` → the alert as last told, while it is
 * pending or firing; `seen/…` → duplicates.
 */
import { seriesKey } from "../events/ids.ts";
import type { Alert, Stamp } from "../events/schema.ts";
import {
  type AlertChange,
  type Evaluation,
  evaluate,
  type Memory,
  type Moment,
  passTime,
  type RuleTime,
  withdraw,
} from "../rules/engine.core.ts";
import {
  conditionText,
  globPattern,
  messageText,
  type Rule,
  resolvedText,
  withdrawnText,
} from "../rules/rule.ts";
import type { Output, StateView, StepResult, StoredRecord, Topology } from "../stream/port.ts";
import {
  arrival,
  Fault,
  firstArrival,
  type JournalRecord,
  latestPossible,
  MAX_AHEAD_MS,
  readingTime,
  readValue,
} from "./journal.core.ts";
import { rejected } from "./rejected.core.ts";

export interface AlertOptions {
  readonly events: string;
  readonly alerts: string;
  readonly alertState: string;
  readonly rejected: string;
  readonly changelog: string;
  readonly rules: readonly Rule[];
  /** Names these rules (rules/version.ts). */
  readonly version: string;
}

/** What stands under `rules`. */
export interface RulesState {
  /** Version of the rules that the processors were configured with. */
  readonly configured: string;
  /** Those that count. */
  readonly rules: readonly Rule[];
}

export const RULES = "rules";
export const MEMORY = "memory/";

/** For alerts whose rule is gone, and with it its freshness. */
const WITHDRAWN_FRESHNESS_MS = 3_600_000;
const NOTHING: StepResult = { state: [], outputs: [] };
const NAME = "alerts";
/** Of the state's keys: the alerts that are pending or firing, gateway by gateway. */
export const ACTIVE = "active/";

export interface Series {
  readonly gateway: string;
  readonly device: string;
  readonly metric: string;
}

/** A rule with its globs ready; undefined matches everything. */
export interface Scoped {
  readonly rule: Rule;
  readonly device: RegExp | undefined;
  readonly gateway: RegExp | undefined;
}

const compiled = (glob: string) => (glob === "*" ? undefined : globPattern(glob));

export function scopedRule(rule: Rule): Scoped {
  return { rule, device: compiled(rule.device), gateway: compiled(rule.gateway) };
}

export function applies(scoped: Scoped, { gateway, device, metric }: Series): boolean {
  return (
    scoped.rule.metric === metric &&
    (scoped.device?.test(device) ?? true) &&
    (scoped.gateway?.test(gateway) ?? true)
  );
}

interface ReadyRules {
  readonly byMetric: ReadonlyMap<string, readonly Scoped[]>;
  readonly byName: ReadonlyMap<string, Scoped>;
}

function readyRules(rules: readonly Rule[]): ReadyRules {
  const scoped = rules.map(scopedRule);
  return {
    byMetric: Map.groupBy(scoped, ({ rule }) => rule.metric),
    byName: new Map(scoped.map((one) => [one.rule.name, one])),
  };
}

export function alertTopology(options: AlertOptions): Topology {
  const own: RulesState = { configured: options.version, rules: options.rules };
  let last = { of: own, ready: readyRules(own.rules) };
  const inForce = (state: RulesState): ReadyRules => {
    // The state gives the same object until it changes.
    if (last.of !== state) last = { of: state, ready: readyRules(state.rules) };
    return last.ready;
  };
  const target = { topology: NAME, topic: options.rejected };

  return {
    name: NAME,
    inputs: [options.events],
    outputs: [
      { topic: options.alerts, coalesce: false },
      { topic: options.alertState, coalesce: true },
      { topic: options.rejected, coalesce: false },
    ],
    changelog: options.changelog,
    listed: [ACTIVE],
    step(state, input) {
      const first = firstArrival(state, input);
      if (!first) return NOTHING;
      const { journal, seen } = first;
      const change = new Change(options, state);
      change.state.push(seen);
      const known = state.get(RULES) as RulesState | undefined;
      const stands = known?.configured === own.configured;
      if (!stands) change.state.push([RULES, own]);
      const { byMetric, byName } = inForce(stands && known ? known : own);
      if (journal.type === "tidegate.reading" && byMetric.size > 0) {
        read(change, journal, byMetric);
      } else if (journal.type === "tidegate.heartbeat") {
        const fault = beat(change, journal, byName);
        if (fault) change.outputs.push(rejected(target, journal.record, fault));
      }
      return change;
    },
  };
}

function read(
  change: Change,
  journal: JournalRecord,
  byMetric: ReadonlyMap<string, readonly Scoped[]>,
): void {
  const { gateway, record } = journal;
  const reading = readValue("tidegate.reading", record);
  if (reading instanceof Fault) return;
  const { device } = reading;
  const latest = latestPossible(reading, record);
  const known = Math.min(readingTime(reading, record), latest);
  const timed = reading.time === undefined ? "gateway" : "device";
  const unsynced = timed === "gateway" && reading.clock === "unsynced";
  // How old it is nobody can say; it is taken for current, because one page too many is better than one too few.
  const age = unsynced ? 0 : Math.max(0, arrival(reading, record) - known);
  const moment = momentOf(reading, known);
  for (const [metric, value] of Object.entries(reading.metrics)) {
    for (const one of byMetric.get(metric) ?? []) {
      const series = { gateway, device, metric };
      if (!applies(one, series)) continue;
      const alert = alertId(one.rule, series);
      const memory = change.memory(alert);
      // The log's own clock may not be set either: what came later in the journal is not shown as earlier.
      const time = unsynced ? Math.max(known, memory?.newest ?? known) : known;
      const { id } = journal;
      const now = { id, time, timed, latest: latest + MAX_AHEAD_MS, value, moment, age } as const;
      const taken = evaluate(one.rule, memory, now);
      change.take(alert, memory, taken, journal, (told) => alertOf(one.rule, series, alert, told));
    }
  }
}

/** @returns what is wrong with the heartbeat, if anything */
function beat(
  change: Change,
  journal: JournalRecord,
  byName: ReadonlyMap<string, Scoped>,
): Fault | undefined {
  const heartbeat = readValue("tidegate.heartbeat", journal.record);
  if (heartbeat instanceof Fault) return heartbeat;
  const now: RuleTime = { moment: momentOf(heartbeat), age: ageOf(heartbeat, journal.record) };
  for (const last of change.active(journal.gateway)) {
    const memory = change.memory(last.alert);
    if (!memory) continue;
    const one = byName.get(last.rule);
    const kept = one && applies(one, last);
    const taken = kept
      ? passTime(one.rule, memory, now)
      : withdraw(memory, now, WITHDRAWN_FRESHNESS_MS);
    change.take(last.alert, memory, taken, journal, ({ episode: _, since: __, ...told }) => ({
      ...last,
      ...told,
      ...(kept ? {} : { message: withdrawnText(last) }),
    }));
  }
  return undefined;
}

/**
 * The gateway's clock as far as it is to be believed. Of an event with the device's time nothing says whether the gateway knew
 * its own: the later of the two, or what began under an unset clock would seem to have held for years.
 */
function momentOf({ received, clock, boot, uptime }: Stamp, time = received): Moment {
  if (clock === "unsynced") return { boot, uptime };
  return { received: clock === "device" ? Math.max(received, time) : received, boot, uptime };
}

function ageOf(
  stamp: { readonly received: number; readonly clock: string },
  record: StoredRecord,
): number {
  return stamp.clock === "unsynced" ? 0 : arrival(stamp, record) - stamp.received;
}

function alertId(rule: Rule, { gateway, device, metric }: Series): string {
  return `${rule.name}@${seriesKey(gateway, device, metric)}`;
}

function alertOf(rule: Rule, series: Series, alert: string, change: AlertChange): Alert {
  return {
    alert,
    episode: change.episode,
    rule: rule.name,
    ...series,
    state: change.state,
    severity: rule.severity,
    condition: conditionText(rule),
    threshold: rule.when.threshold,
    value: change.value,
    since: change.since,
    changed: change.changed,
    historical: change.historical,
    ...(change.fired === undefined ? {} : { fired: change.fired }),
    message:
      change.state === "resolved"
        ? resolvedText(rule, series, change)
        : messageText(rule, series, change.value),
  };
}

/** What one event changes, gathered. */
class Change implements StepResult {
  readonly state: (readonly [key: string, value: unknown])[] = [];
  readonly outputs: Output[] = [];
  readonly #options: AlertOptions;
  readonly #view: StateView;

  constructor(options: AlertOptions, view: StateView) {
    this.#options = options;
    this.#view = view;
  }

  memory(alert: string): Memory | undefined {
    return this.#view.get(MEMORY + alert) as Memory | undefined;
  }

  active(gateway: string): readonly Alert[] {
    return [...this.#view.entries(`${ACTIVE}${gateway}/`)].map(([, alert]) => alert as Alert);
  }

  take(
    id: string,
    before: Memory | undefined,
    { memory, change }: Evaluation,
    journal: JournalRecord,
    describe: (change: AlertChange) => Alert,
  ): void {
    if (memory !== before) this.state.push([MEMORY + id, memory]);
    if (!change) return;
    const alert = describe(change);
    const active = alert.state === "resolved" ? undefined : alert;
    this.state.push([`${ACTIVE}${journal.gateway}/${id}`, active]);
    for (const topic of [this.#options.alerts, this.#options.alertState]) {
      this.outputs.push({
        topic,
        key: id,
        type: "tidegate.alert",
        id: `${id}@${journal.id}`,
        time: change.changed,
        event: alert,
      });
    }
  }
}
