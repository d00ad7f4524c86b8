/** Each gateway: is its link up, by what evidence, and what waits in its buffer. */
import type { JSX } from "preact";
import type { GatewayView } from "../../../cloud/read-model/port.ts";
import { bufferWords } from "../buffer.core.ts";
import type { Fleet } from "../fleet.ts";
import { formatBytes, formatCount, formatDuration, formatNumber } from "../format.core.ts";
import { Icon, type IconName } from "../icons.tsx";
import { identityWords } from "../identity.core.ts";
import { backlog, clockWord, judgeLink, type LinkState, pastLink } from "../link.core.ts";
import { Badge, Panel, Token } from "../parts.tsx";
import { judgedAt, linkTo, staleClock } from "../state.ts";

const LOOK: Readonly<Record<LinkState, readonly [tone: string, icon: IconName]>> = {
  online: ["ok", "ok"],
  late: ["warning", "late"],
  offline: ["critical", "offline"],
  never: ["quiet", "never"],
  unknown: ["quiet", "stale"],
};

/** Devices of another gateway are found by its name. */
function Other({ gateway }: { readonly gateway: string }): JSX.Element {
  return (
    <a href={linkTo({ view: { name: "overview" }, search: `${gateway}/` })}>
      <Token>{gateway}</Token>
    </a>
  );
}

function Gateway(props: {
  readonly view: GatewayView;
  readonly all: readonly GatewayView[];
}): JSX.Element {
  const { view, all } = props;
  const past = staleClock.value;
  const link =
    past === undefined ? judgeLink(view, judgedAt.value) : pastLink(view, judgedAt.value, past);
  const [tone, icon] = LOOK[link.state];
  const { status } = view;
  const waiting = backlog(view);
  const words = status ? bufferWords(status) : [];
  const share = status ? status.buffered_bytes / Math.max(1, status.capacity_bytes) : 0;
  return (
    <li class={`gateway gateway-${link.state}`}>
      <div class="gateway-head">
        <h3>
          <Token>{view.gateway}</Token>
        </h3>
        <Badge tone={tone} icon={icon}>
          {link.word}
        </Badge>
      </div>
      <p class="muted">{link.evidence}</p>
      {identityWords(view, all).map(({ tone, text, other }) => (
        <p key={`${text} ${other}`} class={`identity tone-${tone}`}>
          <Icon name={tone} />
          <span>
            {text}
            {other !== undefined && (
              <>
                {" "}
                <Other gateway={other} />
              </>
            )}
          </span>
        </p>
      ))}
      {status && (
        <>
          <p>
            {waiting === 0 ? (
              "No backlog"
            ) : (
              <>
                Backlog <strong class="number">{formatCount(waiting)}</strong>{" "}
                {waiting === 1 ? "event" : "events"}
              </>
            )}
            <span class="muted">
              {past === undefined ? " " : ` at ${past} `}· buffer{" "}
              {formatBytes(status.buffered_bytes)} of {formatBytes(status.capacity_bytes)}
              {status.hours_left !== undefined &&
                words.length === 0 &&
                `, full in ${formatNumber(status.hours_left)} h`}
            </span>
          </p>
          <progress
            class={share > 0.8 ? "meter meter-full" : "meter"}
            max={1}
            value={Math.min(1, share)}
            aria-label={`Buffer of ${view.gateway}: ${formatNumber(share * 100)} % used`}
          />
          {words.map(({ tone, text }) => (
            <p key={text} class={`buffer tone-${tone}`}>
              <Icon name={tone} />
              <span>{text}</span>
            </p>
          ))}
          {clockWord(status.clock) && (
            <p class="clock">
              <Icon name="late" />
              <span>{clockWord(status.clock)}</span>
            </p>
          )}
          {(status.rejected ?? 0) > 0 && (
            <p
              class="rejected"
              title="npx tidegate tail events shows them: tidegate.rejected-payload"
            >
              <Icon name="warning" />
              <span>
                {formatCount(status.rejected ?? 0)} {status.rejected === 1 ? "payload" : "payloads"}{" "}
                could not be decoded since start: <code>npx tidegate tail events</code>
              </span>
            </p>
          )}
          <p class="muted small">
            {formatCount(status.clients)} {status.clients === 1 ? "client" : "clients"} · up{" "}
            {formatDuration(status.time - status.started)} · version {status.version}
          </p>
        </>
      )}
    </li>
  );
}

export function GatewaysPanel({ fleet }: { readonly fleet: Fleet }): JSX.Element {
  return (
    <Panel title="Gateways" id="gateways">
      <ul class="gateways">
        {fleet.gatewayList.value.map((view) => (
          <Gateway key={view.gateway} view={view} all={fleet.gatewayList.value} />
        ))}
      </ul>
    </Panel>
  );
}
