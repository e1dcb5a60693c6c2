/** The catalogue of metrics: families out of series names and metadata, filters, and the graph that suits each type. */
import type { Metadata } from '../api/prom';
import { byClause, type Matcher, selector } from './promtext';
import { promDuration } from './steps';
import type { Unit } from './units';

export const KINDS = ['counter', 'gauge', 'histogram', 'native', 'summary', 'info', 'unknown'] as const;
export type Kind = (typeof KINDS)[number];

export const KIND_NAMES: Record<Kind, string> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  native: 'native',
  summary: 'summary',
  info: 'info',
  unknown: 'unknown',
};

export interface Entry {
  /** The family: what type and help are filed under. */
  name: string;
  kind: Kind;
  unit: string;
  help: string;
  /** The names its series have, sorted; a classic histogram has three. */
  names: string[];
}

const PARTS = /_(bucket|sum|count|created)$/;

/** One entry per family, in the order of their names. A name that belongs to no known family stands for itself. */
export function buildCatalog(names: readonly string[], metadata: Readonly<Record<string, Metadata[]>>): Entry[] {
  const known = new Set(names);
  const families = new Map<string, string[]>();
  for (const name of names) {
    const family = familyName(name, known, metadata);
    const members = families.get(family);
    if (members) members.push(name);
    else families.set(family, [name]);
  }
  return [...families]
    .map(([name, members]) => toEntry(name, members.sort(), metadata))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function familyName(name: string, known: ReadonlySet<string>, metadata: Readonly<Record<string, Metadata[]>>): string {
  const base = name.replace(PARTS, '');
  if (base === name) return name;
  const type = metadata[base]?.[0]?.type;
  if (type === 'histogram' || type === 'gaugehistogram' || type === 'summary') return base;
  // Without metadata only a bucket tells that `_sum` and `_count` belong together.
  return known.has(`${base}_bucket`) ? base : name;
}

function toEntry(name: string, names: string[], metadata: Readonly<Record<string, Metadata[]>>): Entry {
  const meta = (metadata[name] ?? metadata[name.replace(/_total$/, '')])?.[0];
  return {
    name,
    names,
    kind: kindOf(name, names, meta?.type ?? ''),
    unit: meta?.unit || unitOfName(name),
    help: meta?.help ?? '',
  };
}

function kindOf(name: string, names: readonly string[], type: string): Kind {
  if (names.includes(`${name}_bucket`)) return 'histogram';
  if (type === 'histogram' || type === 'gaugehistogram') return names.includes(name) ? 'native' : 'histogram';
  if (type === 'counter' || type === 'gauge' || type === 'summary' || type === 'info') return type;
  if (type === 'stateset') return 'gauge';
  if (name.endsWith('_total')) return 'counter';
  return name.endsWith('_info') ? 'info' : 'unknown';
}

const UNITS =
  /_(seconds|milliseconds|bytes|ratio|percent|celsius|hertz|volts|amperes|watts|joules|meters|grams)(?:_total)?$/;

function unitOfName(name: string): string {
  return UNITS.exec(name)?.[1] ?? '';
}

/** What stands before the first separator: exporters and subsystems begin their names with it. */
export function prefixOf(name: string): string {
  return /^[^_:./]+/.exec(name)?.[0] ?? name;
}

export interface Filters {
  find: string;
  kinds: readonly Kind[];
  prefix: string;
}

export function matches(entry: Entry, filters: Filters, leave?: keyof Filters): boolean {
  if (leave !== 'kinds' && filters.kinds.length > 0 && !filters.kinds.includes(entry.kind)) return false;
  if (leave !== 'prefix' && filters.prefix !== '' && prefixOf(entry.name) !== filters.prefix) return false;
  if (leave === 'find' || filters.find === '') return true;
  const text = `${entry.names.join(' ')} ${entry.name} ${entry.help}`.toLowerCase();
  return filters.find
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export interface Facets {
  kinds: { kind: Kind; count: number }[];
  prefixes: { prefix: string; count: number }[];
}

/** How many entries each choice would leave, given the other choices: a facet never counts its own filter. */
export function facets(entries: readonly Entry[], filters: Filters): Facets {
  const kinds = new Map<Kind, number>();
  const prefixes = new Map<string, number>();
  for (const entry of entries) {
    if (matches(entry, filters, 'kinds')) kinds.set(entry.kind, (kinds.get(entry.kind) ?? 0) + 1);
    if (matches(entry, filters, 'prefix')) {
      const prefix = prefixOf(entry.name);
      prefixes.set(prefix, (prefixes.get(prefix) ?? 0) + 1);
    }
  }
  return {
    kinds: KINDS.flatMap((kind) => (kinds.has(kind) ? [{ kind, count: kinds.get(kind) ?? 0 }] : [])),
    prefixes: [...prefixes]
      .map(([prefix, count]) => ({ prefix, count }))
      .sort((a, b) => b.count - a.count || (a.prefix < b.prefix ? -1 : 1)),
  };
}

export type Sort = 'name' | 'series' | 'type';

export function sortEntries(entries: readonly Entry[], sort: Sort, countOf: (entry: Entry) => number): Entry[] {
  const byName = (a: Entry, b: Entry) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  if (sort === 'series') return [...entries].sort((a, b) => countOf(b) - countOf(a) || byName(a, b));
  if (sort === 'type')
    return [...entries].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || byName(a, b));
  return [...entries].sort(byName);
}

/**
 * The window of a rate, as Grafana's `$__rate_interval` has it: at least four samples, and never shorter than
 * a step and one sample, or what happened between two points would be in neither.
 */
export function rateInterval(stepSeconds: number, scrapeSeconds: number): number {
  return Math.max(stepSeconds + scrapeSeconds, 4 * scrapeSeconds);
}

/** What a row of the catalogue can be drawn as. */
export type ViewKey =
  'rate' | 'increase' | 'raw' | 'avg' | 'sum' | 'min' | 'max' | 'heat' | 'quantiles' | 'count' | 'mean' | 'series';

export interface ViewDef {
  key: ViewKey;
  label: string;
  says: string;
}

const DEFS: Record<ViewKey, Omit<ViewDef, 'key'>> = {
  rate: { label: 'Rate', says: 'per second, all series added up' },
  increase: { label: 'Increase', says: 'growth per step, all series added up' },
  raw: { label: 'Raw', says: 'every series as it was sent' },
  avg: { label: 'Average', says: 'mean of all series' },
  sum: { label: 'Sum', says: 'all series added up' },
  min: { label: 'Lowest', says: 'lowest of all series' },
  max: { label: 'Highest', says: 'highest of all series' },
  heat: { label: 'Heat map', says: 'observations per second in each bucket' },
  quantiles: { label: 'Percentiles', says: '50th, 90th and 99th percentile; the 99th alone when split' },
  count: { label: 'Rate', says: 'observations per second' },
  mean: { label: 'Mean', says: 'mean of what was observed' },
  series: { label: 'Series', says: 'number of series' },
};

const VIEWS: Record<Kind, readonly ViewKey[]> = {
  counter: ['rate', 'increase', 'raw'],
  gauge: ['avg', 'sum', 'min', 'max', 'raw'],
  histogram: ['heat', 'quantiles', 'count', 'mean'],
  native: ['heat', 'quantiles', 'count', 'mean'],
  summary: ['raw', 'count', 'mean'],
  info: ['series', 'raw'],
  unknown: ['avg', 'sum', 'min', 'max', 'rate', 'raw'],
};

export function viewsOf(entry: Entry): ViewDef[] {
  return VIEWS[entry.kind].filter((key) => exists(entry, key)).map((key) => ({ key, ...DEFS[key] }));
}

/** A summary may come without its quantiles, a histogram without sum and count. */
function exists(entry: Entry, key: ViewKey): boolean {
  if (entry.kind === 'summary' && key === 'raw') return entry.names.includes(entry.name);
  if (key === 'count' && entry.kind !== 'native') return entry.names.includes(`${entry.name}_count`);
  if (key === 'mean' && entry.kind !== 'native')
    return entry.names.includes(`${entry.name}_sum`) && entry.names.includes(`${entry.name}_count`);
  return true;
}

export function viewOf(entry: Entry, wanted: string | undefined): ViewDef {
  const views = viewsOf(entry);
  return views.find((one) => one.key === wanted) ?? views[0] ?? { key: 'raw', ...DEFS.raw };
}

export interface Ask {
  /** Split by these labels. */
  by: readonly string[];
  matchers: readonly Matcher[];
  stepSeconds: number;
  rateSeconds: number;
}

export interface Drawn {
  expr: string;
  /** Names the expression among its neighbours, for percentiles. */
  tag?: string;
}

/** The expressions behind a view. More than one only for percentiles, which PromQL has no single form for. */
export function expressions(entry: Entry, view: ViewKey, ask: Ask): Drawn[] {
  const of = (name: string) => selector(name, ask.matchers);
  const window = `[${promDuration(ask.rateSeconds)}]`;
  const by = byClause(ask.by);
  const { name } = entry;
  switch (view) {
    case 'rate':
      return [{ expr: `sum${by} (rate(${of(name)}${window}))` }];
    case 'increase':
      return [
        { expr: `sum${by} (increase(${of(name)}[${promDuration(Math.max(ask.stepSeconds, ask.rateSeconds))}]))` },
      ];
    case 'avg':
    case 'sum':
    case 'min':
    case 'max':
      return [{ expr: `${view}${by} (${of(name)})` }];
    case 'raw':
      return [{ expr: of(name) }];
    case 'series':
      return [{ expr: `count${by} (${of(name)})` }];
    case 'count':
      return [
        {
          expr:
            entry.kind === 'native'
              ? `histogram_count(sum${by} (rate(${of(name)}${window})))`
              : `sum${by} (rate(${of(`${name}_count`)}${window}))`,
        },
      ];
    case 'mean':
      return [
        {
          expr:
            entry.kind === 'native'
              ? `histogram_avg(sum${by} (rate(${of(name)}${window})))`
              : `sum${by} (rate(${of(`${name}_sum`)}${window})) / sum${by} (rate(${of(`${name}_count`)}${window}))`,
        },
      ];
    case 'heat':
      return [{ expr: buckets(entry, [], ask) }];
    case 'quantiles': {
      const quantiles = ask.by.length > 0 ? [0.99] : [0.5, 0.9, 0.99];
      return quantiles.map((q) => ({
        expr: `histogram_quantile(${q}, ${buckets(entry, ask.by, ask)})`,
        tag: `p${q * 100}`,
      }));
    }
  }
}

function buckets(entry: Entry, by: readonly string[], ask: Ask): string {
  const window = `[${promDuration(ask.rateSeconds)}]`;
  if (entry.kind === 'native') return `sum${byClause(by)} (rate(${selector(entry.name, ask.matchers)}${window}))`;
  return `sum${byClause(['le', ...by])} (rate(${selector(`${entry.name}_bucket`, ask.matchers)}${window}))`;
}

/** The one curve that says most in the width of a word. */
export function sparkOf(entry: Entry, ask: Omit<Ask, 'by'>): Drawn {
  const whole = { ...ask, by: [] };
  if (entry.kind === 'histogram' || entry.kind === 'native') {
    return { expr: `histogram_quantile(0.99, ${buckets(entry, [], whole)})`, tag: 'p99' };
  }
  const first = entry.kind === 'summary' && exists(entry, 'mean') ? 'mean' : viewOf(entry, undefined).key;
  const drawn = expressions(entry, first === 'raw' ? 'avg' : first, whole)[0] ?? { expr: selector(entry.name) };
  return {
    expr: drawn.expr,
    tag: first === 'rate' ? 'rate' : first === 'mean' ? 'mean' : first === 'series' ? 'series' : 'avg',
  };
}

/** The unit of what a view draws. Rates of seconds are shares, so plain numbers. */
export function unitOf(entry: Entry, view: ViewKey): Unit {
  const own: Unit =
    entry.unit === 'seconds'
      ? 'seconds'
      : entry.unit === 'bytes'
        ? 'bytes'
        : entry.unit === 'ratio'
          ? 'ratio'
          : 'short';
  if (view === 'series') return 'short';
  if (view === 'count') return 'ps';
  if (view === 'rate') return own === 'bytes' ? 'bytesps' : own === 'short' ? 'ps' : 'short';
  return own;
}

/** The distance between samples that a count over a window tells, rounded to what people configure. */
export function observedInterval(samples: number | undefined, windowSeconds: number): number {
  if (samples === undefined || !(samples > 0)) return USUAL_INTERVAL;
  const exact = windowSeconds / samples;
  return ROUND.reduce((best, one) => (Math.abs(one - exact) < Math.abs(best - exact) ? one : best), ROUND[0] ?? exact);
}

/** Where nothing was sent lately: the interval most are configured with. */
export const USUAL_INTERVAL = 15;
const ROUND = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300];
