import { describe, expect, it } from 'vitest';
import {
  buildCatalog,
  expressions,
  facets,
  matches,
  observedInterval,
  prefixOf,
  rateInterval,
  sortEntries,
  sparkOf,
  unitOf,
  viewOf,
  viewsOf,
} from './catalog';
import type { Metadata } from '../api/prom';

const meta = (type: string, help = '', unit = ''): Metadata[] => [{ type, help, unit }];

const NAMES = [
  'http_duration_seconds_bucket',
  'http_duration_seconds_count',
  'http_duration_seconds_sum',
  'http_requests_total',
  'rpc_duration_seconds',
  'go_gc_seconds',
  'go_gc_seconds_count',
  'go_gc_seconds_sum',
  'jobs_count',
  'memory_bytes',
  'build_info',
  'old_latency_bucket',
  'old_latency_sum',
];
const METADATA = {
  http_duration_seconds: meta('histogram', 'How long requests take.', 'seconds'),
  http_requests_total: meta('counter', 'Requests answered.'),
  rpc_duration_seconds: meta('histogram'),
  go_gc_seconds: meta('summary'),
  memory_bytes: meta('gauge'),
};
const entries = buildCatalog(NAMES, METADATA);
const entry = (name: string) => {
  const found = entries.find((one) => one.name === name);
  if (!found) throw new Error(`no entry ${name}`);
  return found;
};
const ask = { by: [] as string[], matchers: [], stepSeconds: 15, rateSeconds: 60 };
const text = (name: string, view: Parameters<typeof expressions>[1], by: string[] = []) =>
  expressions(entry(name), view, { ...ask, by }).map((one) => one.expr);

describe('the catalogue', () => {
  it('has one entry per family, typed by metadata or by the name', () => {
    expect(entries.map((one) => [one.name, one.kind, one.names.length])).toEqual([
      ['build_info', 'info', 1],
      ['go_gc_seconds', 'summary', 3],
      ['http_duration_seconds', 'histogram', 3],
      ['http_requests_total', 'counter', 1],
      // Without metadata or buckets `_count` may as well be a gauge of its own.
      ['jobs_count', 'unknown', 1],
      ['memory_bytes', 'gauge', 1],
      ['old_latency', 'histogram', 2],
      ['rpc_duration_seconds', 'native', 1],
    ]);
    expect(entries.flatMap((one) => one.names).sort()).toEqual([...NAMES].sort());
    expect(entry('http_duration_seconds')).toMatchObject({ unit: 'seconds', help: 'How long requests take.' });
    expect(entry('memory_bytes').unit).toBe('bytes');
  });

  it('is searched in names, series names and help', () => {
    const all = { find: '', kinds: [], prefix: '' };
    const found = (filters: object) => entries.filter((one) => matches(one, { ...all, ...filters })).map((o) => o.name);
    expect(found({ find: 'HOW long' })).toEqual(['http_duration_seconds']);
    expect(found({ find: 'seconds_bucket' })).toEqual(['http_duration_seconds']);
    expect(found({ prefix: 'http', kinds: ['counter'] })).toEqual(['http_requests_total']);
    expect(found({ kinds: ['native', 'summary'] })).toEqual(['go_gc_seconds', 'rpc_duration_seconds']);
  });

  it('counts what each choice would leave', () => {
    const { kinds, prefixes } = facets(entries, { find: '', kinds: ['counter'], prefix: 'http' });
    expect(kinds).toEqual([
      { kind: 'counter', count: 1 },
      { kind: 'histogram', count: 1 },
    ]);
    expect(prefixes).toEqual([{ prefix: 'http', count: 1 }]);
    expect(prefixOf('node.cpu')).toBe('node');
    expect(prefixOf(':rule')).toBe(':rule');
  });

  it('sorts by name, type or series', () => {
    expect(
      sortEntries(entries, 'series', (one) => one.names.length)
        .map((one) => one.name)
        .slice(0, 3),
    ).toEqual(['go_gc_seconds', 'http_duration_seconds', 'old_latency']);
    expect(sortEntries(entries, 'type', () => 0)[0]?.name).toBe('http_requests_total');
  });
});

describe('a sensible graph', () => {
  it('is the rate of a counter, a heat map of a histogram, the mean of a gauge', () => {
    expect(viewOf(entry('http_requests_total'), undefined).key).toBe('rate');
    expect(viewOf(entry('rpc_duration_seconds'), 'nonsense').key).toBe('heat');
    expect(viewOf(entry('memory_bytes'), 'max').key).toBe('max');
    expect(text('http_requests_total', 'rate')).toEqual(['sum (rate(http_requests_total[1m]))']);
    expect(text('memory_bytes', 'avg', ['job'])).toEqual(['avg by (job) (memory_bytes)']);
  });

  it('of a histogram keeps the bounds', () => {
    expect(text('http_duration_seconds', 'heat')).toEqual(['sum by (le) (rate(http_duration_seconds_bucket[1m]))']);
    expect(text('rpc_duration_seconds', 'heat')).toEqual(['sum (rate(rpc_duration_seconds[1m]))']);
    expect(text('http_duration_seconds', 'quantiles', ['route'])).toEqual([
      'histogram_quantile(0.99, sum by (le, route) (rate(http_duration_seconds_bucket[1m])))',
    ]);
    expect(expressions(entry('rpc_duration_seconds'), 'quantiles', ask).map((one) => one.tag)).toEqual([
      'p50',
      'p90',
      'p99',
    ]);
    expect(text('rpc_duration_seconds', 'mean')).toEqual(['histogram_avg(sum (rate(rpc_duration_seconds[1m])))']);
  });

  it('offers only what the series allow', () => {
    expect(viewsOf(entry('old_latency')).map((one) => one.key)).toEqual(['heat', 'quantiles']);
    expect(viewsOf(entry('go_gc_seconds')).map((one) => one.key)).toEqual(['raw', 'count', 'mean']);
  });

  it('is small enough for a row', () => {
    expect(sparkOf(entry('http_duration_seconds'), ask).tag).toBe('p99');
    expect(sparkOf(entry('http_requests_total'), ask)).toEqual({
      expr: 'sum (rate(http_requests_total[1m]))',
      tag: 'rate',
    });
    expect(sparkOf(entry('go_gc_seconds'), ask).tag).toBe('mean');
    expect(sparkOf(entry('build_info'), ask)).toEqual({ expr: 'count (build_info)', tag: 'series' });
  });

  it('has a window of four samples at least', () => {
    expect(rateInterval(10, 15)).toBe(60);
    expect(rateInterval(300, 15)).toBe(315);
    expect(rateInterval(10, 60)).toBe(240);
  });

  it('knows its unit and how far samples stand apart', () => {
    expect(unitOf(entry('http_duration_seconds'), 'quantiles')).toBe('seconds');
    expect(unitOf(entry('http_duration_seconds'), 'count')).toBe('ps');
    expect(unitOf(entry('http_requests_total'), 'rate')).toBe('ps');
    expect(unitOf(entry('memory_bytes'), 'rate')).toBe('bytesps');
    expect([undefined, 0, 20, 19, 5, 1, 300].map((count) => observedInterval(count, 300))).toEqual([
      15, 15, 15, 15, 60, 300, 1,
    ]);
  });
});
