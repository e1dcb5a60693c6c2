/** The histogram split by a field: its most frequent values as bars of their own, and all other lines together. */
import type { Series } from '../api/prom';
import { assignSlots, slotVariable } from './colour';
import { type Columns, toColumns } from './series';

export interface SplitBar {
  /** What the legend says. */
  name: string;
  /** The value of the field; null for what is left. */
  value: string | null;
  colour: string;
  total: number;
}

export interface SplitBars {
  columns: Columns;
  bars: SplitBar[];
  total: number;
}

/** Values drawn apart; more colours than this are not told from each other. */
export const SPLIT_VALUES = 9;

/** `whole` counts all lines; both stand at the end of their steps, a bar begins where its step does. */
export function shapeSplit(
  label: string,
  series: readonly Series[],
  whole: readonly Series[],
  stepSeconds: number,
): SplitBars {
  const sums = new Map<string, Map<number, number>>();
  for (const one of series) {
    const value = one.labels[label] ?? '';
    sums.set(value, addUp(one, stepSeconds, sums.get(value)));
  }
  const all = whole.reduce((into, one) => addUp(one, stepSeconds, into), new Map<number, number>());
  const named = [...sums].sort(([, a], [, b]) => sumOf(b) - sumOf(a)).slice(0, SPLIT_VALUES);
  const rest = new Map(all);
  for (const [, counts] of named) for (const [at, n] of counts) rest.set(at, (rest.get(at) ?? 0) - n);
  const slots = assignSlots(named.map(([value]) => value));
  const bars: (SplitBar & { counts: Map<number, number> })[] = named.map(([value, counts]) => ({
    name: value === '' ? `without ${label}` : value,
    value,
    colour: slotVariable(slots.get(value) ?? 0),
    total: sumOf(counts),
    counts,
  }));
  // Two questions of a moving range may differ by a line: less than nothing is nothing.
  for (const [at, n] of rest) if (n <= 0) rest.delete(at);
  if (rest.size > 0) {
    bars.push({ name: 'others', value: null, colour: 'var(--level-unknown)', total: sumOf(rest), counts: rest });
  }
  const columns = toColumns(
    bars.map(({ counts }) => {
      const sorted = [...counts].sort(([a], [b]) => a - b);
      return { labels: {}, times: sorted.map(([at]) => at), values: sorted.map(([, n]) => n) };
    }),
    stepSeconds,
  );
  return {
    columns,
    bars: bars.map(({ name, value, colour, total }) => ({ name, value, colour, total })),
    total: Math.max(sumOf(all), bars.reduce((sum, bar) => sum + bar.total, 0)), // prettier-ignore
  };
}

function addUp(one: Series, stepSeconds: number, into = new Map<number, number>()): Map<number, number> {
  one.times.forEach((time, i) => {
    const start = time - stepSeconds;
    into.set(start, (into.get(start) ?? 0) + (one.values[i] ?? 0));
  });
  return into;
}

function sumOf(counts: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const n of counts.values()) sum += n;
  return sum;
}
