/** From query results to what a chart and its table twin draw. */
import type { Labels, Series } from '../api/prom';

/** uPlot's shape: one shared time column (seconds) and a column per series, null where a series has no point. */
export type Columns = [number[], ...(number | null)[][]];

export function seriesName(labels: Labels): string {
  const { __name__: metric = '', ...rest } = labels;
  const pairs = Object.keys(rest)
    .sort()
    .map((key) => `${key}="${rest[key] ?? ''}"`);
  if (pairs.length === 0) return metric || '{}';
  return `${metric}{${pairs.join(', ')}}`;
}

/** Labels whose value differs between the series: the only ones worth the width of a legend. */
export function varyingLabels(series: readonly { labels: Labels }[]): string[] {
  const names = new Set(series.flatMap((one) => Object.keys(one.labels)));
  return [...names].filter((name) => new Set(series.map((one) => one.labels[name] ?? '')).size > 1).sort();
}

/** The legend text of one series among its neighbours. */
export function shortName(labels: Labels, varying: readonly string[]): string {
  if (varying.length === 0) return seriesName(labels);
  const rest: Record<string, string> = {};
  for (const name of varying) if (labels[name]) rest[name] = labels[name];
  return seriesName(rest);
}

/**
 * Puts series on one regular grid. A step without a sample is null, so a gap in the data is a gap in the line,
 * never a straight stroke across it. NaN and the infinities cannot be drawn and are gaps too.
 */
export function toColumns(series: readonly Series[], stepSeconds: number): Columns {
  let first = Infinity;
  let last = -Infinity;
  for (const one of series) {
    const head = one.times[0];
    const tail = one.times[one.times.length - 1];
    if (head !== undefined && head < first) first = head;
    if (tail !== undefined && tail > last) last = tail;
  }
  if (!Number.isFinite(first)) return [[], ...series.map(() => [])];
  const length = Math.min(Math.round((last - first) / stepSeconds) + 1, MAX_STEPS);
  const times = Array.from({ length }, (_, i) => first + i * stepSeconds);
  return [times, ...series.map((one) => onGrid(one, first, stepSeconds, length))];
}

/** Past the 11 000 points the server grants per series a grid is a sign of a wrong step, not of data. */
const MAX_STEPS = 20_000;

function onGrid(one: Series, first: number, stepSeconds: number, length: number): (number | null)[] {
  const column: (number | null)[] = new Array<number | null>(length).fill(null);
  one.times.forEach((time, i) => {
    const at = Math.round((time - first) / stepSeconds);
    const value = one.values[i];
    if (at >= 0 && at < length && value !== undefined && Number.isFinite(value)) column[at] = value;
  });
  return column;
}

/** One series on the grid of a whole range: what lies before its first sample and after its last is empty, not cut off. */
export function onRange(one: Series, fromS: number, toS: number, stepSeconds: number): (number | null)[] {
  const first = Math.floor(fromS / stepSeconds) * stepSeconds;
  return onGrid(one, first, stepSeconds, Math.min(Math.ceil((toS - first) / stepSeconds) + 1, MAX_STEPS));
}

export interface Capped {
  shown: Series[];
  total: number;
}

/** The `cap` series with the highest mean, in a stable order; the rest is counted, not drawn. */
export function capSeries(series: readonly Series[], cap: number): Capped {
  if (series.length <= cap) return { shown: [...series], total: series.length };
  const ranked = series
    .map((one, index) => ({ index, mean: mean(one.values) }))
    .sort((a, b) => b.mean - a.mean || a.index - b.index);
  const kept = new Set(ranked.slice(0, cap).map((one) => one.index));
  return { shown: series.filter((_, index) => kept.has(index)), total: series.length };
}

export function mean(values: readonly number[]): number {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    sum += value;
    count += 1;
  }
  return count === 0 ? -Infinity : sum / count;
}

export interface Summary {
  min: number;
  mean: number;
  max: number;
  last: number;
}

export function summarise(values: readonly (number | null)[]): Summary | null {
  const numbers = values.filter((value): value is number => value !== null);
  const last = numbers[numbers.length - 1];
  if (last === undefined) return null;
  let min = Infinity;
  let max = -Infinity;
  for (const value of numbers) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max, mean: mean(numbers), last };
}

/** Adds the columns up from the first to the last, for bars that stand on each other. */
export function stack(columns: Columns): Columns {
  const [times, ...rest] = columns;
  const below = new Array<number>(times.length).fill(0);
  const stacked = rest.map((column) =>
    column.map((value, i) => {
      below[i] = (below[i] ?? 0) + (value ?? 0);
      return below[i] ?? 0;
    }),
  );
  return [times, ...stacked];
}

export function toCsv(header: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const cell = (value: string | number | null) => {
    const text = value === null ? '' : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [header, ...rows].map((row) => row.map(cell).join(',')).join('\r\n');
}
