/** One metric over time: a line, for rollups with the band from lowest to highest, holes as holes, thresholds drawn. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Severity } from "../../events/schema.ts";
import { type ChartData, extremes } from "./chart-data.core.ts";
import { axisLabels, formatNumber, formatTime } from "./format.core.ts";
import type { Zone } from "./route.core.ts";
import { serverNow } from "./state.ts";

export interface Threshold {
  readonly value: number;
  readonly label: string;
  readonly severity: Severity;
  /** Part of an alert that is pending or firing: always in the picture. */
  readonly isActive: boolean;
}

export interface ChartProps {
  readonly metric: string;
  readonly data: ChartData;
  readonly from: number;
  readonly to: number;
  readonly thresholds: readonly Threshold[];
  readonly zone: Zone;
  /** A piece of time was chosen by dragging, ms. */
  readonly onZoom: (from: number, to: number) => void;
}

const HEIGHT = 190;
/** With fewer points than this in sight, each is drawn; with more only those that stand alone. */
const SPARSE = 60;

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Columns as uPlot takes them. A null breaks the line; NaN would not. */
function aligned(data: ChartData): uPlot.AlignedData {
  const columns = [data.times, data.values];
  if (data.min && data.max) columns.push(data.min, data.max);
  return columns as unknown as uPlot.AlignedData;
}

/** Points to draw: all where there are few, else those between two holes, which no line would show. */
function pointsToDraw(plot: uPlot, show: boolean): number[] | null {
  if (!show) return null;
  const values = plot.data[1] ?? [];
  const [first, last] = plot.series[0]?.idxs ?? [0, values.length - 1];
  const isSparse = last - first < SPARSE;
  const chosen: number[] = [];
  for (let index = first; index <= last; index++) {
    if (values[index] === null || values[index] === undefined) continue;
    const alone = (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
    if (isSparse || alone) chosen.push(index);
  }
  return chosen;
}

/** The range of values, with the thresholds that matter; one that is far from all values would squash the line. */
function valueRange(
  min: number | null,
  max: number | null,
  thresholds: readonly Threshold[],
): [number, number] {
  let low = min ?? 0;
  let high = max ?? 1;
  const span = high - low || Math.abs(high) * 0.1 || 1;
  for (const { value, isActive } of thresholds) {
    if (!isActive && (value < low - span || value > high + span)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const room = (high - low || Math.abs(high) * 0.1 || 1) * 0.08;
  return [low - room, high + room];
}

function drawThresholds(plot: uPlot, thresholds: readonly Threshold[]): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  ctx.lineWidth = ratio;
  ctx.setLineDash([5 * ratio, 4 * ratio]);
  for (const { value, label, severity } of thresholds) {
    const y = plot.valToPos(value, "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(`--${severity}`);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    const above = y - bbox.top > 16 * ratio;
    ctx.textBaseline = above ? "bottom" : "top";
    // A rim in the colour of the ground keeps the words readable where the line runs through them.
    const x = bbox.left + bbox.width - 4 * ratio;
    const textY = y + (above ? -3 : 3) * ratio;
    const lineColour = ctx.strokeStyle;
    ctx.save();
    ctx.setLineDash([]);
    ctx.lineJoin = "round";
    ctx.lineWidth = 4 * ratio;
    ctx.strokeStyle = colour("--panel");
    ctx.strokeText(label, x, textY);
    ctx.fillStyle = lineColour;
    ctx.fillText(label, x, textY);
    ctx.restore();
  }
  ctx.restore();
}

interface Current {
  props: ChartProps;
  onCursor: (index: number | undefined) => void;
}

function options(current: Current, width: number): uPlot.Options {
  const { props } = current;
  const isBand = props.data.min !== undefined;
  const line = colour("--line-ink");
  const axis: uPlot.Axis = {
    stroke: colour("--muted"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { show: false },
  };
  const edge: uPlot.Series = { stroke: "transparent", points: { show: false } };
  return {
    width,
    height: HEIGHT,
    ms: 1,
    padding: [8, 6, 0, 0],
    legend: { show: false },
    tzDate: (time) =>
      props.zone === "utc" ? uPlot.tzDate(new Date(time), "Etc/UTC") : new Date(time),
    cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false, setScale: false } },
    scales: {
      x: { time: true, auto: false, range: () => [current.props.from, current.props.to] },
      y: { range: (_plot, min, max) => valueRange(min, max, current.props.thresholds) },
    },
    axes: [
      {
        ...axis,
        size: 42,
        space: 70,
        values: (_plot, splits, _axis, _space, step) => axisLabels(splits, step, props.zone),
      },
      {
        ...axis,
        size: 54,
        space: 34,
        values: (_plot, splits) => splits.map((value) => formatNumber(value)),
      },
    ],
    series: [
      {},
      {
        stroke: line,
        width: 1.6,
        points: {
          show: true,
          size: 4,
          fill: line,
          filter: (plot, _series, show) => pointsToDraw(plot, show),
        },
      },
      ...(isBand ? [edge, edge] : []),
    ],
    ...(isBand ? { bands: [{ series: [3, 2] as [number, number], fill: colour("--band") }] } : {}),
    hooks: {
      draw: [(plot) => drawThresholds(plot, current.props.thresholds)],
      setCursor: [(plot) => current.onCursor(plot.cursor.idx ?? undefined)],
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          const from = plot.posToVal(plot.select.left, "x");
          const to = plot.posToVal(plot.select.left + plot.select.width, "x");
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          current.props.onZoom(Math.floor(from), Math.ceil(to));
        },
      ],
    },
  };
}

function Readout(props: { readonly chart: ChartProps; readonly index: number | undefined }) {
  const { data, from, to, zone } = props.chart;
  const { index } = props;
  const value = index === undefined ? undefined : data.values[index];
  if (index !== undefined && value !== null && value !== undefined) {
    const low = data.min?.[index];
    const high = data.max?.[index];
    return (
      <p class="readout number">
        <strong>{formatNumber(value)}</strong>
        {typeof low === "number" && typeof high === "number" && (
          <span class="muted">
            {" "}
            {formatNumber(low)} … {formatNumber(high)}
          </span>
        )}
        <span class="muted"> {formatTime(data.times[index] ?? 0, zone, serverNow())}</span>
      </p>
    );
  }
  const seen = extremes(data, from, to);
  if (!seen) return <p class="readout muted">no readings in this range</p>;
  return (
    <p class="readout number">
      <strong>{formatNumber(seen.last)}</strong>
      <span class="muted">
        {" "}
        lowest {formatNumber(seen.min)}, highest {formatNumber(seen.max)}
      </span>
    </p>
  );
}

const RESOLUTION_WORD = {
  raw: "",
  "1m": "mean of each minute",
  "1h": "mean of each hour",
} as const;

export function Chart(props: ChartProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const [index, setIndex] = useState<number>();
  const current = useRef<Current>({ props, onCursor: setIndex });
  current.current.props = props;
  const isBand = props.data.min !== undefined;

  // Colours come from the style sheet when a plot is made, so another scheme makes another plot.
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const make = () => {
      plot.current?.destroy();
      const width = Math.max(120, element.clientWidth);
      plot.current = new uPlot(
        options(current.current, width),
        aligned(current.current.props.data),
        element,
      );
    };
    make();
    const resized = new ResizeObserver(() => {
      const width = Math.max(120, element.clientWidth);
      if (plot.current && plot.current.width !== width) {
        plot.current.setSize({ width, height: HEIGHT });
      }
    });
    resized.observe(element);
    const schemes = ["(prefers-color-scheme: dark)", "(forced-colors: active)"].map(matchMedia);
    for (const scheme of schemes) scheme.addEventListener("change", make);
    return () => {
      for (const scheme of schemes) scheme.removeEventListener("change", make);
      resized.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [isBand, props.zone]);

  useEffect(() => {
    plot.current?.setData(aligned(props.data), true);
  }, [props.data, props.from, props.to, props.thresholds]);

  const seen = extremes(props.data, props.from, props.to);
  const spoken = seen
    ? `${props.metric}: last ${formatNumber(seen.last)}, lowest ${formatNumber(seen.min)}, highest ${formatNumber(seen.max)}`
    : `${props.metric}: no readings in this range`;
  return (
    <figure class="chart">
      <figcaption class="chart-head">
        <h3>
          {props.metric} <span class="muted small">{RESOLUTION_WORD[props.data.resolution]}</span>
        </h3>
        <Readout chart={props} index={index} />
      </figcaption>
      <div class="plot" ref={host} role="img" aria-label={spoken} />
    </figure>
  );
}
