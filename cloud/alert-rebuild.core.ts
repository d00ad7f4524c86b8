/**
 * Alerts by other rules, as if those had always been there. Pure.
 *
 * A rule that judges as before keeps what it has: its alerts are what they were, and nothing is told again. For one that is new
 * or judges otherwise history says which alerts are active: those are told as they are now; what began and ended in the past goes to
 * the history as historical, and pages nobody; what was active and is not by the new rule is withdrawn, as is what a rule that is
 * gone had. Where the replay has no reading of a series its alert stays, and the changed rule judges the next one.
 * What people were told is never rewritten.
 */
import { keyParts } from "../events/ids.ts";
import type { Alert } from "../events/schema.ts";
import { changedText, judgesAlike, type Rule, withdrawnText } from "../rules/rule.ts";
import {
  type CommitView,
  EventLogError,
  type Exchange,
  type Output,
  type RebuildPlan,
  type RebuildStates,
  type StateChange,
  type Topology,
} from "../stream/port.ts";
import {
  ACTIVE,
  type AlertOptions,
  alertTopology,
  applies,
  MEMORY,
  RULES,
  type RulesState,
  scopedRule,
} from "./alerts.core.ts";
import { joined, SEEN } from "./rollup-rebuild.core.ts";

/** `told/<number>`: a change of an alert that the replay came by; `told` is the last number. */
const TOLD = "told";
const NUMBER_DIGITS = 12;

const UNSAID =
  "the alerts' processors have not said yet which rules they go by: let them process an event with this version first";

export const RULE_FATES = ["kept", "new", "changed", "gone"] as const;
export type RuleFate = (typeof RULE_FATES)[number];

/** What became of a rule. */
export interface RuleOutcome {
  readonly rule: string;
  readonly fate: RuleFate;
  /** Of a new or changed one: how often it would have fired in the replayed time, and when first and last, ms since 1970. */
  readonly episodes: number;
  readonly first?: number;
  readonly last?: number;
  /** Alerts of it that fire at the end. */
  readonly firing: number;
  /** Alerts that were active and are withdrawn. */
  readonly withdrawn: readonly string[];
}

interface Told {
  readonly id: string;
  readonly time: number;
  readonly event: Alert;
}

export interface AlertRebuild extends RebuildPlan {
  outcomes(): readonly RuleOutcome[];
}

/** @param options with the rules that are to hold */
export function alertRebuild(options: AlertOptions): AlertRebuild {
  const tallies = new Map<number, Tally>();
  /** What a partition has said: one in which nobody has processed anything since rules stand in the state goes by the same. */
  let known: RulesState | undefined;
  return {
    replay: noting(alertTopology(options), options.alerts),
    listed: [SEEN],
    outbox: TOLD,
    exchange: (states) => {
      const was = states.live.get(RULES) as RulesState | undefined;
      known = was ?? known;
      if (!known && states.live.entries(SEEN).length > 0)
        throw new EventLogError("invalid", UNSAID);
      // A switch that is tried again counts anew.
      const tally = new Tally();
      tallies.set(states.partition, tally);
      return new AlertExchange(options, states, known, tally);
    },
    outcomes: () => {
      const all = [...tallies.values()].flatMap((tally) => tally.outcomes());
      return [...Map.groupBy(all, ({ rule }) => rule).values()].map(summed);
    },
  };
}

/** The topology with what it tells of alerts in its state, in order. */
function noting(topology: Topology, alerts: string): Topology {
  return {
    ...topology,
    step(state, input) {
      const result = topology.step(state, input);
      const told = result.outputs.filter(({ topic }) => topic === alerts);
      if (told.length === 0) return { state: result.state, outputs: [] };
      let number = (state.get(TOLD) as number | undefined) ?? 0;
      const entries = told.map(({ id, time, event }): [string, Told] => {
        number += 1;
        const key = `${TOLD}/${String(number).padStart(NUMBER_DIGITS, "0")}`;
        return [key, { id, time, event: event as Alert }];
      });
      return { state: [...result.state, ...entries, [TOLD, number]], outputs: [] };
    },
  };
}

export function fateOf(was: Rule | undefined, now: Rule | undefined): RuleFate {
  if (!now) return "gone";
  if (!was) return "new";
  return judgesAlike(was, now) ? "kept" : "changed";
}

class AlertExchange implements Exchange {
  readonly always = [RULES];
  readonly #options: AlertOptions;
  readonly #states: RebuildStates;
  readonly #was: ReadonlyMap<string, Rule>;
  readonly #is: ReadonlyMap<string, ReturnType<typeof scopedRule>>;
  readonly #configured: string | undefined;
  readonly #tally: Tally;

  constructor(
    options: AlertOptions,
    states: RebuildStates,
    known: RulesState | undefined,
    tally: Tally,
  ) {
    this.#options = options;
    this.#states = states;
    this.#was = new Map(known?.rules.map((rule) => [rule.name, rule]));
    this.#is = new Map(options.rules.map((rule) => [rule.name, scopedRule(rule)]));
    this.#configured = known?.configured;
    this.#tally = tally;
    for (const name of new Set([...this.#was.keys(), ...this.#is.keys()])) {
      tally.rule(name, this.#fate(name));
    }
  }

  now(key: string): unknown {
    const { live, made } = this.#states;
    if (key === RULES) return this.#rules();
    if (key.startsWith(SEEN)) return joined(live.get(key), made.get(key));
    const alert = alertUnder(key);
    return alert === undefined ? live.get(key) : this.#source(alert)?.get(key);
  }

  stays(key: string): boolean {
    const alert = alertUnder(key);
    return alert === undefined || this.#fate(ruleOf(alert)) === "kept";
  }

  show({ key, was, now }: StateChange, { last }: CommitView): readonly Output[] {
    if (!key.startsWith(ACTIVE)) return [];
    const before = was as Alert | undefined;
    const is = now as Alert | undefined;
    const id = `${last.topic}/${last.partition}/${last.offset}/rebuilt-${this.#options.version}`;
    if (is) return this.#outputs(is, `${is.alert}@${id}`, is.changed);
    if (!before) return [];
    this.#tally.withdrawn(before);
    const changed = Math.max(before.changed, last.timestamp);
    const gone = !this.#is.has(before.rule);
    const { fired: _, ...rest } = before;
    const event: Alert = {
      ...rest,
      state: "resolved",
      changed,
      fired: before.state === "firing",
      message: gone ? withdrawnText(before) : changedText(before),
    };
    return this.#outputs(event, `${before.alert}@${id}`, changed);
  }

  publish(key: string, value: unknown): readonly Output[] {
    if (key === TOLD) return [];
    const { id, time, event } = value as Told;
    const fate = this.#fate(event.rule);
    if (fate !== "new" && fate !== "changed") return [];
    const active = this.#states.made.get(`${ACTIVE}${event.gateway}/${event.alert}`) as
      | Alert
      | undefined;
    const isNow =
      active?.episode === event.episode &&
      active.state === event.state &&
      active.changed === event.changed;
    this.#tally.told(event, isNow);
    // That one is told as it is now, by show().
    if (isNow) return [];
    const historical: Alert = { ...event, historical: true };
    const { alerts: topic } = this.#options;
    return [
      {
        topic,
        key: event.alert,
        type: "tidegate.alert",
        id: `${id}/rebuilt`,
        time,
        event: historical,
      },
    ];
  }

  #rules(): RulesState | undefined {
    const was = this.#states.live.get(RULES) as RulesState | undefined;
    const { rules } = this.#options;
    const same = this.#was.size === rules.length && [...this.#is.values()].every(this.#sameRule);
    if (was && same) return was;
    // Where nobody ever processed anything nobody goes by any rules.
    return this.#configured === undefined ? undefined : { configured: this.#configured, rules };
  }

  readonly #sameRule = ({ rule }: { readonly rule: Rule }): boolean => {
    const was = this.#was.get(rule.name);
    return was !== undefined && was.message === rule.message && was.severity === rule.severity
      ? judgesAlike(was, rule)
      : false;
  };

  #fate(rule: string): RuleFate {
    return fateOf(this.#was.get(rule), this.#is.get(rule)?.rule);
  }

  /** The state that says how an alert stands; undefined where there is none any more. */
  #source(alert: string): RebuildStates["live"] | undefined {
    const { live, made } = this.#states;
    const rule = ruleOf(alert);
    const fate = this.#fate(rule);
    if (fate === "kept") return live;
    const now = this.#is.get(rule);
    if (!now) return undefined;
    if (made.get(MEMORY + alert) !== undefined) return made;
    const [gateway = "", device = "", metric = ""] = keyParts(alert.slice(rule.length + 1));
    return applies(now, { gateway, device, metric }) ? live : undefined;
  }

  #outputs(event: Alert, id: string, time: number): Output[] {
    const { alerts, alertState } = this.#options;
    return [alerts, alertState].map((topic) => ({
      topic,
      key: event.alert,
      type: "tidegate.alert",
      id,
      time,
      event,
    }));
  }
}

/** `rule@gateway/device/metric` of a key about an alert. */
function alertUnder(key: string): string | undefined {
  if (key.startsWith(MEMORY)) return key.slice(MEMORY.length);
  if (!key.startsWith(ACTIVE)) return undefined;
  return key.slice(key.indexOf("/", ACTIVE.length) + 1);
}

/** Names of rules have no `@`. */
const ruleOf = (alert: string) => alert.slice(0, alert.indexOf("@"));

/** What is counted in one partition, for people. */
class Tally {
  readonly #rules = new Map<string, RuleFate>();
  readonly #fired: { readonly rule: string; readonly since: number }[] = [];
  readonly #lastFired = new Map<string, string>();
  readonly #firing: string[] = [];
  readonly #withdrawn: { readonly rule: string; readonly alert: string }[] = [];

  rule(name: string, fate: RuleFate): void {
    this.#rules.set(name, fate);
  }

  told({ alert, episode, rule, state, since }: Alert, isNow: boolean): void {
    if (state !== "firing") return;
    if (isNow) this.#firing.push(rule);
    // An episode that fired as historical may fire again as current.
    if (this.#lastFired.get(alert) === episode) return;
    this.#lastFired.set(alert, episode);
    this.#fired.push({ rule, since });
  }

  withdrawn({ rule, alert }: Alert): void {
    this.#withdrawn.push({ rule, alert });
  }

  outcomes(): RuleOutcome[] {
    return [...this.#rules].map(([rule, fate]) => {
      const own = this.#fired.filter((one) => one.rule === rule).map(({ since }) => since);
      return {
        rule,
        fate,
        episodes: own.length,
        ...(own.length > 0 ? { first: least(own), last: -least(own.map((one) => -one)) } : {}),
        firing: this.#firing.filter((one) => one === rule).length,
        withdrawn: this.#withdrawn.filter((one) => one.rule === rule).map(({ alert }) => alert),
      };
    });
  }
}

const least = (numbers: readonly number[]) =>
  numbers.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);

/** Of all partitions. One that never had an event knows of no rules, and calls all of them new. */
function summed(of: readonly RuleOutcome[]): RuleOutcome {
  const [first] = of as [RuleOutcome];
  const fate = of.find((one) => one.fate !== "new")?.fate ?? first.fate;
  const firsts = of.flatMap((one) => one.first ?? []);
  const lasts = of.flatMap((one) => one.last ?? []);
  return {
    rule: first.rule,
    fate,
    episodes: of.reduce((sum, one) => sum + one.episodes, 0),
    ...(firsts.length > 0 ? { first: Math.min(...firsts), last: Math.max(...lasts) } : {}),
    firing: of.reduce((sum, one) => sum + one.firing, 0),
    withdrawn: of.flatMap((one) => one.withdrawn),
  };
}
