/** TraceQL metrics: from Tempo's JSON to series, and from its buckets of durations to a heat map. */
import type { HistogramBucket, Labels, Series } from '../api/prom';
import { type AnyValue, anyText } from './found';
import type { Heat, HeatColumn } from './heat';

interface WireSample {
  timestampMs?: string | number;
  value?: number | string;
}

export interface WireTraceSeries {
  labels?: { key: string; value?: AnyValue | null }[] | null;
  /** Left out where it is zero, as protobuf's JSON does. */
  samples?: WireSample[] | null;
  /** Of an instant query, in place of samples. */
  value?: number | string;
}

export function shapeTraceSeries(wire: WireTraceSeries): Series {
  const labels: Labels = Object.fromEntries((wire.labels ?? []).map(({ key, value }) => [key, anyText(value)]));
  const samples = [...(wire.samples ?? [])]
    .map(({ timestampMs, value }) => ({ time: Number(timestampMs ?? 0) / 1e3, value: Number(value ?? 0) }))
    .sort((a, b) => a.time - b.time);
  return { labels, times: samples.map((one) => one.time), values: samples.map((one) => one.value) };
}

/** The label that `histogram_over_time` tells its buckets by: the upper bound of a power of two, in seconds. */
const BUCKET = '__bucket';

/** Null where the series are no histogram. */
export function durationHeat(series: readonly Series[]): Heat | null {
  const byTime = new Map<number, Map<number, number>>();
  for (const one of series) {
    const high = Number(one.labels[BUCKET] ?? NaN);
    if (!Number.isFinite(high)) return null;
    one.times.forEach((time, i) => {
      const value = one.values[i] ?? 0;
      if (!(value > 0)) return;
      const cells = byTime.get(time) ?? new Map<number, number>();
      byTime.set(time, cells);
      cells.set(high, (cells.get(high) ?? 0) + value);
    });
  }
  if (series.length === 0) return null;
  const columns = [...byTime].map(([time, cells]) => column(time, cells)).sort((a, b) => a.time - b.time);
  const most = columns.reduce((top, one) => one.cells.reduce((high, cell) => Math.max(high, cell.count), top), 0);
  return { kind: 'native', columns, most, series: 1 };
}

function column(time: number, counts: ReadonlyMap<number, number>): HeatColumn {
  const cells: HistogramBucket[] = [...counts]
    .map(([high, count]) => ({ low: high / 2, high, bounds: 0, count }))
    .sort((a, b) => a.low - b.low);
  return { time, cells, count: cells.reduce((sum, cell) => sum + cell.count, 0) };
}

/** The whole of a range in one column, for its percentiles. */
export function totalColumn(heat: Heat): HeatColumn {
  const counts = new Map<number, number>();
  for (const cell of heat.columns.flatMap((one) => one.cells)) {
    counts.set(cell.high, (counts.get(cell.high) ?? 0) + cell.count);
  }
  return column(0, counts);
}

export interface Red {
  /** Spans in the range. */
  count: number;
  errors: number;
}

/** From `rate() by (status)`: what the range held, told by rates per step. */
export function redOf(series: readonly Series[], stepSeconds: number): Red {
  let count = 0;
  let errors = 0;
  for (const one of series) {
    const sum = one.values.reduce((total, value) => total + value, 0) * stepSeconds;
    count += sum;
    if (isError(one)) errors += sum;
  }
  return { count, errors };
}

export function isError(one: Series): boolean {
  return one.labels.status === 'error' || one.labels['span:status'] === 'error';
}

/** Adds series up, step by step. */
export function sumSeries(series: readonly Series[], labels: Labels): Series {
  const sums = new Map<number, number>();
  for (const one of series) one.times.forEach((t, i) => sums.set(t, (sums.get(t) ?? 0) + (one.values[i] ?? 0)));
  const times = [...sums.keys()].sort((a, b) => a - b);
  return { labels, times, values: times.map((time) => sums.get(time) ?? 0) };
}
