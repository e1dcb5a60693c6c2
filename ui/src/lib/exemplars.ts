/** Exemplars as marks of a chart: few enough to tell apart, and not only the slowest. */
import type { Exemplar } from '../api/exemplars';

/** Marks on one chart: more hide the lines they stand for. */
export const MOST_MARKS = 150;

/**
 * Thins to `most`: the range is cut into slices, and each gives its highest first, then its next, until there are enough.
 * The outliers that people look for stay, and so does a picture of the whole range.
 */
export function thin(all: readonly Exemplar[], fromS: number, toS: number, most = MOST_MARKS): Exemplar[] {
  const inside = all.filter((one) => one.time >= fromS && one.time <= toS && Number.isFinite(one.value));
  if (inside.length <= most) return [...inside].sort((a, b) => a.time - b.time);
  const slices = Math.max(1, Math.floor(most / 3));
  const buckets = Array.from({ length: slices }, () => [] as Exemplar[]);
  for (const one of inside) {
    const at = Math.floor(((one.time - fromS) / (toS - fromS || 1)) * slices);
    buckets[Math.min(Math.max(at, 0), slices - 1)]?.push(one);
  }
  for (const bucket of buckets) bucket.sort((a, b) => b.value - a.value);
  const kept: Exemplar[] = [];
  for (let depth = 0; kept.length < most; depth += 1) {
    const layer = buckets.flatMap((bucket) => bucket[depth] ?? []);
    if (layer.length === 0) break;
    kept.push(...layer.slice(0, most - kept.length));
  }
  return kept.sort((a, b) => a.time - b.time);
}

/** Labels worth a line in a tooltip: those of the exemplar first, then what tells the series apart. */
export function describeExemplar(one: Exemplar, varying: readonly string[]): [string, string][] {
  const own = Object.entries(one.labels);
  const series = varying.flatMap((name): [string, string][] => {
    const value = one.series[name];
    return value === undefined || name === '__name__' ? [] : [[name, value]];
  });
  return [...own, ...series.filter(([name]) => one.labels[name] === undefined)];
}
