/** Finding the cell of a heat map under a pointer or a key, and putting it into words. */
import { boundsText, type Heat, type HeatColumn, quantileOf, type Scale } from '../lib/heat';
import type { Zone } from '../lib/time';
import { formatDateTime } from '../lib/timeformat';
import { formatValue, type Unit } from '../lib/units';
import type { Spoken, Spot } from './HeatTips';

/** Percentiles drawn over the cells. */
export const HEAT_LINES = [0.5, 0.99] as const;

export function nearestColumn(heat: Heat, seconds: number, stepSeconds: number): number {
  let best = -1;
  heat.columns.forEach((column, i) => {
    if (seconds > column.time - stepSeconds && seconds <= column.time) best = i;
  });
  return best;
}

/** How near the pointer must be to a thin cell to mean it, as a share of the height. */
const NEAR = 0.03;

export function cellAt(column: HeatColumn | undefined, scale: Scale, at: number): number {
  let best = -1;
  let distance = NEAR;
  column?.cells.forEach((cell, i) => {
    const away = Math.max(0, scale.at(cell.low) - at, at - scale.at(cell.high));
    if (away < distance) [best, distance] = [i, away];
  });
  return best;
}

/** Left and right move by a step, up and down by a cell that counted something. */
export function stepSpot(heat: Heat, spot: Spot | null, key: string): Spot | null {
  const last = heat.columns.length - 1;
  if (last < 0 || !['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'].includes(key)) return null;
  const from = spot ?? { column: key === 'ArrowRight' ? -1 : last + 1, cell: 0 };
  const across = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
  const column = Math.min(Math.max(from.column + across, 0), last);
  const cells = heat.columns[column]?.cells ?? [];
  const up = key === 'ArrowUp' ? 1 : key === 'ArrowDown' ? -1 : 0;
  return { column, cell: Math.min(Math.max(from.cell + up, 0), Math.max(0, cells.length - 1)) };
}

/** What a tooltip and a reader say of a cell, or of a whole column. */
export function speakSpot(
  column: HeatColumn,
  at: number,
  heat: Heat,
  format: (value: number) => string,
  countUnit: Unit,
  zone: Zone,
): Spoken {
  const time = formatDateTime(column.time * 1e3, zone);
  const percent = (count: number) => `${((count / (column.count || 1)) * 100).toFixed(1)} %`;
  const quantiles = HEAT_LINES.map((q) => {
    const value = quantileOf(column, q, heat.kind);
    return [`p${q * 100}`, value === null ? '–' : format(value)] as const;
  });
  const total = ['All buckets', formatValue(column.count, countUnit)] as const;
  const cell = column.cells[at];
  if (!cell) return { time, rows: [total, ...quantiles] };
  const below = column.cells.slice(0, at + 1).reduce((sum, one) => sum + one.count, 0);
  return {
    time,
    rows: [
      ['Bucket', boundsText(cell, format)],
      ['Count', `${formatValue(cell.count, countUnit)}, ${percent(cell.count)}`],
      ['Up to here', percent(below)],
      total,
      ...quantiles,
    ],
  };
}
