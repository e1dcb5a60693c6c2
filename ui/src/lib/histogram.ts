/** From counts per level, however spelled, to the bars of the log histogram. */
import type { Labels, Series } from '../api/prom';
import { type Level, LEVEL_LABELS, LEVELS, levelOf, normaliseLevel } from './loglines';
import { type Columns, toColumns } from './series';

export interface LevelBars {
  level: Level;
  total: number;
  /** The label this level is told by, and how it is spelled there; null where several labels tell it. */
  filter: { label: string; values: string[] } | null;
}

export interface Histogram {
  columns: Columns;
  levels: LevelBars[];
  total: number;
}

interface Bucket {
  sums: Map<number, number>;
  spellings: Map<string, Set<string>>;
}

/** A count stands at the end of its step; a bar begins where the step does. */
export function shapeHistogram(series: readonly Series[], stepSeconds: number): Histogram {
  const byLevel = new Map<Level, Bucket>();
  for (const one of series) {
    const level = levelOf(one.labels);
    const bucket = byLevel.get(level) ?? { sums: new Map<number, number>(), spellings: new Map<string, Set<string>>() };
    byLevel.set(level, bucket);
    one.times.forEach((time, i) => {
      const start = time - stepSeconds;
      bucket.sums.set(start, (bucket.sums.get(start) ?? 0) + (one.values[i] ?? 0));
    });
    const told = tellingLabel(one.labels);
    const values = bucket.spellings.get(told) ?? new Set<string>();
    bucket.spellings.set(told, values.add(one.labels[told] ?? ''));
  }
  const kept = LEVELS.flatMap((level) => {
    const bucket = byLevel.get(level);
    return bucket ? [{ level, bucket, sums: [...bucket.sums].sort(([a], [b]) => a - b) }] : [];
  });
  const columns = toColumns(
    kept.map(({ sums }) => ({ labels: {}, times: sums.map(([time]) => time), values: sums.map(([, n]) => n) })),
    stepSeconds,
  );
  const levels = kept.map(({ level, bucket, sums }) => ({
    level,
    total: sums.reduce((sum, [, n]) => sum + n, 0),
    filter: filterOf(bucket.spellings),
  }));
  return { columns, levels, total: levels.reduce((sum, one) => sum + one.total, 0) };
}

/** The label that `levelOf` believes; empty where none says anything. */
function tellingLabel(labels: Labels): string {
  return (
    LEVEL_LABELS.find((name) => normaliseLevel(labels[name] ?? '') !== 'unknown') ??
    (labels.severity_number ? 'severity_number' : '')
  );
}

function filterOf(spellings: ReadonlyMap<string, ReadonlySet<string>>): LevelBars['filter'] {
  const [first, ...more] = spellings;
  return first && first[0] !== '' && more.length === 0 ? { label: first[0], values: [...first[1]].sort() } : null;
}
