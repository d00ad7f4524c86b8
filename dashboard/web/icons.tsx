/** Signs that differ in shape, not only in colour. Each stands beside its word, so none speaks to a screen reader. */
import type { JSX } from "preact";

const PATHS = {
  ok: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM5 8.2l2.1 2.1L11 6.2",
  info: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM8 7.4v3.6M8 4.9v.2",
  warning: "M8 1.8 15 14H1L8 1.8ZM8 6.4v3.4M8 11.8v.2",
  critical: "M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2l3.7-3.7ZM8 4.6v4.2M8 11v.2",
  late: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM8 4.5V8l2.4 1.6",
  offline: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM3.6 12.4l8.8-8.8",
  never:
    "M8 1.5a6.5 6.5 0 0 1 2.6.5M13.6 4.7a6.5 6.5 0 0 1 .8 4M12.8 12.4a6.5 6.5 0 0 1-3.2 2M6.4 14.3a6.5 6.5 0 0 1-3.6-2.4M1.6 8.8a6.5 6.5 0 0 1 .9-4M4.8 2.4l.6-.3",
  pending: "M4 1.8h8M4 14.2h8M5 2v2.6L8 8l3-3.4V2M5 14v-2.6L8 8l3 3.4V14",
  stale:
    "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM5.8 6.2a2.2 2.2 0 1 1 3.4 1.9c-.8.5-1.2.8-1.2 1.5M8 11.6v.2",
  quiet: "M2 8h3M6.5 8h3M11 8h3",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** A raised gate over two waves. */
export function Mark(): JSX.Element {
  const wave = (y: number) =>
    `M5 ${y}c2.75 0 2.75-2.6 5.5-2.6s2.75 2.6 5.5 2.6 2.75-2.6 5.5-2.6 2.75 2.6 5.5 2.6`;
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path d="M5 3.5v25M27 3.5v25M5 5h22M16 5v9" />
      <path class="mark-water" d={`${wave(20.5)}${wave(26.6)}`} />
    </svg>
  );
}
