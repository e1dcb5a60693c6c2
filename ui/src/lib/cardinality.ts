/** Where series come from: counts per metric, label and pair over a list of label sets, and what leaving a label out would save. */
import type { Labels } from '../api/prom';
import { escapeRegex, type Matcher, quote, selector } from './promtext';
import { promDuration } from './steps';

export interface Counted {
  name: string;
  count: number;
}

export interface LabelCount {
  name: string;
  /** Distinct values. */
  values: number;
  /** Series that carry it. */
  series: number;
  /** Length of its values in bytes, once for each series, as Prometheus counts it. */
  bytes: number;
  /** How many series fewer there would be without it. */
  saves: number;
}

export interface PairCount {
  name: string;
  value: string;
  count: number;
}

export interface Analysis {
  series: number;
  metrics: Counted[];
  labels: LabelCount[];
  pairs: PairCount[];
}

const NAME = '__name__';

export function analyse(sets: readonly Labels[]): Analysis {
  const values = new Map<string, Map<string, number>>();
  for (const labels of sets) {
    for (const [name, value] of Object.entries(labels)) {
      const counts = values.get(name) ?? new Map<string, number>();
      values.set(name, counts);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
  }
  const prints = fingerprints(sets);
  const metrics = [...(values.get(NAME) ?? [])].map(([name, count]) => ({ name, count })).sort(most);
  values.delete(NAME);
  const labels = [...values].map(([name, counts]) => {
    let series = 0;
    let bytes = 0;
    for (const [value, count] of counts) {
      series += count;
      bytes += utf8Length(value) * count;
    }
    return { name, values: counts.size, series, bytes, saves: prints.saved([name]) };
  });
  const pairs = [...values].flatMap(([name, counts]) => [...counts].map(([value, count]) => ({ name, value, count })));
  return {
    series: sets.length,
    metrics,
    labels: labels.sort((a, b) => b.values - a.values || (a.name < b.name ? -1 : 1)),
    pairs: pairs.sort((a, b) => b.count - a.count || (a.name + a.value < b.name + b.value ? -1 : 1)),
  };
}

function most(a: Counted, b: Counted): number {
  return b.count - a.count || (a.name < b.name ? -1 : 1);
}

/** How many series fewer there would be if these labels were all left out. */
export function saving(sets: readonly Labels[], dropped: readonly string[]): number {
  return dropped.length === 0 ? 0 : fingerprints(sets).saved(dropped);
}

/**
 * A label set as the exclusive or of its pairs' hashes: leaving a label out takes one hash away again, so that a
 * what-if over all labels costs one pass each and no strings. 53 bits: among a million sets two meet by
 * chance once in ten thousand tries.
 */
function fingerprints(sets: readonly Labels[]) {
  const known = new Map<string, [number, number]>();
  const hashOf = (name: string, value: string): [number, number] => {
    const key = `${name}\u0000${value}`;
    const seen = known.get(key);
    if (seen) return seen;
    const made: [number, number] = [hash(key, 2166136261), hash(key, 0x9747b28c)];
    known.set(key, made);
    return made;
  };
  const whole = sets.map((labels) => {
    let [high, low] = [0, 0];
    for (const [name, value] of Object.entries(labels)) {
      const [a, b] = hashOf(name, value);
      high ^= a;
      low ^= b;
    }
    return [high, low] as const;
  });
  const saved = (dropped: readonly string[]): number => {
    const left = new Set<number>();
    sets.forEach((labels, i) => {
      let [high, low] = whole[i] ?? [0, 0];
      for (const name of dropped) {
        const value = labels[name];
        if (value === undefined) continue;
        const [a, b] = hashOf(name, value);
        high ^= a;
        low ^= b;
      }
      left.add((high >>> 0) * 0x200000 + (low & 0x1fffff));
    });
    return sets.length - left.size;
  };
  return { saved };
}

/** FNV-1a with a final mix, for both halves from different seeds. */
function hash(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i += 1) {
    h ^= text.charCodeAt(i);
    h = Math.imul(h, 16777619);
  }
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return h ^ (h >>> 12);
}

function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    // Two halves of a surrogate pair make four bytes together.
    if (code > 0x7ff && (code < 0xd800 || code > 0xdfff)) bytes += 2;
    else if (code > 0x7f) bytes += 1;
  }
  return bytes;
}

/** What asks for every series of a scope; an empty scope has all of them. */
export function scopeSelector(scope: { metric: string; matchers: readonly Matcher[] } | null): string {
  if (!scope || (scope.metric === '' && scope.matchers.length === 0)) return '{__name__!=""}';
  // A selector needs one matcher that does not match the empty text.
  const empty = scope.metric === '' && scope.matchers.every((one) => one.op === '!=' || one.op === '!~');
  return empty
    ? selector('', [...scope.matchers, { name: NAME, op: '!=', value: '' }])
    : selector(scope.metric, scope.matchers);
}

export interface Churn {
  appeared: string;
  ended: string;
}

/**
 * Queries that count the series which were there at one step and not at the one before, and the other way round.
 * Set operators compare labels without the metric's name: it is copied into a label where it can differ.
 */
export function churnQueries(
  scope: { metric: string; matchers: readonly Matcher[] } | null,
  everySeconds: number,
): Churn {
  const text = scopeSelector(scope);
  const offset = ` offset ${promDuration(everySeconds)}`;
  const named = (inner: string) =>
    scope?.metric ? inner : `label_replace(${inner}, "__of__", "$1", "__name__", "(.*)")`;
  const [now, before] = [named(text), named(`${text}${offset}`)];
  return {
    appeared: `count(${now} unless ${before}) or vector(0)`,
    ended: `count(${before} unless ${now}) or vector(0)`,
  };
}

/** The lines of a scrape configuration that leave labels out: of one metric, or of all that a job scrapes. */
export function dropRule(metric: string, labels: readonly string[]): string {
  const head = 'metric_relabel_configs:';
  if (metric === '') return `${head}\n  - action: labeldrop\n    regex: ${quote(labels.map(escapeRegex).join('|'))}`;
  const rule = (label: string) =>
    [
      '  - source_labels: [__name__]',
      `    regex: ${quote(escapeRegex(metric))}`,
      `    target_label: ${quote(label)}`,
      '    replacement: ""',
    ].join('\n');
  return [head, ...labels.map(rule)].join('\n');
}
