/** Has everything arrived that was acknowledged? Each gateway's account, with what is missing by its numbers. */
import type { JSX } from "preact";
import type { GatewayView, LedgerTotals } from "../../../cloud/read-model/port.ts";
import type { LedgerEntry } from "../../../events/schema.ts";
import type { Fleet } from "../fleet.ts";
import { formatCount } from "../format.core.ts";
import { Icon } from "../icons.tsx";
import { Panel, Token } from "../parts.tsx";
import { staleClock } from "../state.ts";

const RANGES_SHOWN = 4;

const COLUMNS: readonly (readonly [key: keyof LedgerTotals, label: string])[] = [
  ["accepted", "Accepted"],
  ["arrived", "Arrived"],
  ["onTheWay", "On the way"],
  ["missing", "Missing"],
  ["duplicates", "Duplicates"],
  ["declaredLost", "Declared lost"],
];

function rangesText(
  entries: readonly LedgerEntry[],
  pick: (entry: LedgerEntry) => LedgerEntry["missing"],
): string {
  const texts = entries.flatMap((entry) =>
    pick(entry).map(([from, to]) => {
      const span = from === to ? formatCount(from) : `${formatCount(from)}–${formatCount(to)}`;
      return `${span} of epoch ${entry.epoch}`;
    }),
  );
  const more = texts.length - RANGES_SHOWN;
  return `${texts.slice(0, RANGES_SHOWN).join(", ")}${more > 0 ? ` and ${more} more ranges` : ""}`;
}

function Statement(props: {
  readonly totals: LedgerTotals;
  readonly entries: readonly LedgerEntry[];
}): JSX.Element {
  const { totals, entries } = props;
  const past = staleClock.value;
  if (totals.accepted === 0 && totals.arrived === 0) {
    return <p class="muted">Nothing was accepted yet.</p>;
  }
  const parts: JSX.Element[] = [];
  if (totals.missing > 0) {
    parts.push(
      <p class="statement tone-critical" key="missing">
        <Icon name="critical" />
        <span>
          {formatCount(totals.missing)} missing: {rangesText(entries, (entry) => entry.missing)}
        </span>
      </p>,
    );
  }
  if (totals.declaredLost > 0) {
    parts.push(
      <p class="statement tone-warning" key="lost">
        <Icon name="warning" />
        <span>
          {formatCount(totals.declaredLost)} declared lost:{" "}
          {rangesText(entries, (entry) => entry.declared_lost)}
        </span>
      </p>,
    );
  }
  if (totals.onTheWay > 0) {
    parts.push(
      <p class="statement tone-info" key="way">
        <Icon name="late" />
        <span>
          {formatCount(totals.onTheWay)} on the way
          {past !== undefined && ` at ${past}`}: acknowledged and safe on the gateway.
        </span>
      </p>,
    );
  }
  if (parts.length > 0) return <>{parts}</>;
  return (
    <p class={`statement tone-${past === undefined ? "ok" : "stale"}`}>
      <Icon name={past === undefined ? "ok" : "stale"} />
      <span>
        {past === undefined
          ? "Every acknowledged reading has arrived."
          : `Every reading acknowledged by ${past} had arrived, as far as was known then.`}
      </span>
    </p>
  );
}

function Account(props: {
  readonly view: GatewayView;
  readonly entries: readonly LedgerEntry[];
}): JSX.Element {
  const { view, entries } = props;
  return (
    <li class="account">
      <h3>
        <Token>{view.gateway}</Token>
      </h3>
      <Statement totals={view.totals} entries={entries} />
      {view.totals.accepted + view.totals.arrived > 0 && <Counts totals={view.totals} />}
    </li>
  );
}

function Counts({ totals }: { readonly totals: LedgerTotals }): JSX.Element {
  return (
    <dl class="counts">
      {COLUMNS.map(([key, label]) => (
        <div key={key} class={totals[key] > 0 ? `count count-${key}` : "count count-zero"}>
          <dt>{label}</dt>
          <dd class="number">{formatCount(totals[key])}</dd>
        </div>
      ))}
    </dl>
  );
}

export function LedgerPanel({ fleet }: { readonly fleet: Fleet }): JSX.Element {
  const entries = [...fleet.ledger.value.values()];
  return (
    <Panel title="Ledger" id="ledger" aside={<span class="muted small">events by sequence</span>}>
      <ul class="accounts">
        {fleet.gatewayList.value.map((view) => (
          <Account
            key={view.gateway}
            view={view}
            entries={entries.filter((entry) => entry.gateway === view.gateway)}
          />
        ))}
      </ul>
    </Panel>
  );
}
