/** uPlot options from what a chart shows: axes that use our clock and units, colours from the tokens. */
import uPlot from 'uplot';
import { formatTick } from '../lib/timeformat';
import type { Zone } from '../lib/time';
import { formatValue, type Unit } from '../lib/units';
import { resolveColour } from './ink';

export { resolveColour };

export interface Look {
  names: readonly string[];
  /** CSS variable expressions, one per series, such as `var(--series-3)`. */
  colours: readonly string[];
  unit: Unit;
  zone: Zone;
  kind: 'line' | 'bars';
  height: number;
  /** The axis starts at zero even where the data stays far above it: for rates whose drop to nothing matters. */
  fromZero?: boolean;
}

export interface Handlers {
  onZoom: (fromS: number, toS: number) => void;
  onCursor: (plot: uPlot) => void;
  /** After the grid, before the lines: what the lines stand on. */
  onBack: (plot: uPlot) => void;
  /** After the lines: what else stands on the chart. */
  onDraw: (plot: uPlot) => void;
}

const AXIS_FONT = '11px system-ui, "DejaVu Sans", sans-serif';

export function buildOptions(look: Look, width: number, handlers: Handlers): uPlot.Options {
  const axisColour = resolveColour('var(--fg-faint)');
  const grid = { stroke: resolveColour('var(--chart-grid)'), width: 1 };
  const axis = { stroke: axisColour, font: AXIS_FONT, grid, ticks: { ...grid, size: 4 } };
  return {
    width,
    height: look.height,
    // Without it days would begin at the browser's midnight under a clock that shows UTC.
    ...(look.zone === 'utc' ? { tzDate: (s: number) => uPlot.tzDate(new Date(s * 1e3), 'Etc/UTC') } : {}),
    legend: { show: false },
    focus: { alpha: 0.25 },
    padding: [8, 10, 0, 0],
    scales: { x: { time: true }, y: { range: look.kind === 'bars' || look.fromZero ? zeroBased : padded } },
    cursor: {
      drag: { x: true, y: false, setScale: false },
      sync: { key: 'orrery-time', setSeries: false },
      points: { size: 6 },
    },
    axes: [
      {
        ...axis,
        size: 26,
        space: 76,
        values: (_plot, splits) => {
          const distance = ((splits[1] ?? 0) - (splits[0] ?? 0)) * 1e3;
          return splits.map((at) => formatTick(at * 1e3, look.zone, distance));
        },
      },
      {
        ...axis,
        space: 30,
        // Bytes are named in powers of two: ticks on powers of ten would read 4.66 GiB.
        ...(look.unit.startsWith('bytes') ? { incrs: Array.from({ length: 60 }, (_, i) => 2 ** i) } : {}),
        size: (_plot, values) => Math.max(44, 14 + 6.6 * Math.max(0, ...(values ?? []).map((text) => text.length))),
        values: (_plot, splits) => splits.map((value) => formatValue(value, look.unit)),
      },
    ],
    series: [{}, ...look.names.map((label, i) => seriesOptions(label, look, i))],
    hooks: {
      setCursor: [handlers.onCursor],
      drawAxes: [handlers.onBack],
      draw: [handlers.onDraw],
      setSelect: [
        (plot) => {
          const { left, width: chosen } = plot.select;
          // A click leaves a selection of no width; a slip of the hand one of a few pixels.
          if (chosen > 4) handlers.onZoom(plot.posToVal(left, 'x'), plot.posToVal(left + chosen, 'x'));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function seriesOptions(label: string, look: Look, index: number): uPlot.Series {
  const colour = resolveColour(look.colours[index] ?? 'var(--series-0)');
  if (look.kind === 'bars') {
    const paths = uPlot.paths.bars?.({ size: [0.92, 60], align: 1 });
    return { label, stroke: colour, fill: colour, width: 0, points: { show: false }, ...(paths ? { paths } : {}) };
  }
  return {
    label,
    stroke: colour,
    width: 1.5,
    // A lone line reads better with its area, but an area that does not stand on zero exaggerates.
    ...(look.names.length === 1
      ? {
          fill: (plot: uPlot) =>
            plot.scales.y?.min === 0 ? `color-mix(in srgb, ${colour} 12%, transparent)` : 'transparent',
        }
      : {}),
    points: { show: (plot, i) => lonePoints(plot, i), size: 4 },
    spanGaps: false,
  };
}

/** A sample without neighbours draws no stroke: show a dot, or it would be invisible. */
function lonePoints(plot: uPlot, index: number): boolean {
  const column = plot.data[index] ?? [];
  let lone = 0;
  for (let i = 0; i < column.length; i += 1) {
    if (column[i] != null && column[i - 1] == null && column[i + 1] == null) lone += 1;
    if (lone > 0) return true;
  }
  return false;
}

function zeroBased(_plot: uPlot, _low: number | null, high: number | null): [number, number] {
  return [0, high !== null && high > 0 ? high * 1.06 : 1];
}

/** Keeps zero in sight when the data comes near it: a floor that moves makes small changes look like falls. */
function padded(_plot: uPlot, low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  if (low === high) return low === 0 ? [0, 1] : low > 0 ? [0, low * 1.2] : [low * 1.2, 0];
  const air = (high - low) * 0.08;
  const bottom = low >= 0 && low <= (high - low) * 2 ? 0 : low - air;
  const top = high <= 0 && -high <= (high - low) * 2 ? 0 : high + air;
  return [bottom, top];
}
