import { describe, expect, it } from 'vitest';
import {
  cardinalitySearch,
  catalogSearch,
  commonSearch,
  compareSearch,
  logsSearch,
  metricsSearch,
  parseSearch,
  serviceSearch,
  servicesSearch,
  stringifySearch,
  topologySearch,
  traceSearch,
  tracesSearch,
} from './search';

const trip = <T extends object>(state: T, read: (raw: Record<string, unknown>) => object) => {
  const raw = parseSearch(stringifySearch(state as Record<string, unknown>));
  const back: Record<string, unknown> = { ...commonSearch(raw), ...read(raw) };
  return Object.fromEntries(Object.entries(back).filter(([, value]) => value !== undefined));
};

describe('the address', () => {
  it.each([
    [
      'metrics',
      {
        from: 'now-6h/h',
        to: 'now',
        q: ['rate(x{a="b&c", d=~"1+2"}[5m])', 'up'],
        tabs: 'gX',
        ex: 'list',
        fold: 'A0.1,B0',
        scale: 'lin',
        cap: 200,
        find: 'cpu',
        browse: 'off',
        solo: '{a="1"}',
      },
      metricsSearch,
    ],
    [
      'the catalogue',
      {
        find: 'cpu time',
        type: 'counter,native',
        prefix: 'node',
        label: 'job=a=b',
        sort: 'series',
        metric: 'http.requests',
        view: 'heat',
        by: 'pod',
        where: 'job="a&b", x!~"1+2"',
        cap: 200,
        ex: 'on',
      },
      catalogSearch,
    ],
    [
      'cardinality',
      { match: 'up{job="a"}', limit: 50000, label: 'pod', drop: ['pod', 'a b'], sort: 'saves', churn: 'on' },
      cardinalitySearch,
    ],
    [
      'logs',
      {
        from: '1795218607000',
        to: '1795222207000',
        q: '{a="b"} |= `50%` | json\n| x > 5',
        wrap: 'on',
        order: 'oldest',
        field: 'a',
        find: 'b c',
        cols: 'a,json:b',
        line: '17-abc',
        around: 25,
        hist: 'table',
        split: 'logfmt:status',
        view: 'patterns',
        tz: 'utc',
      },
      logsSearch,
    ],
    [
      'traces',
      {
        tenant: 'a|b',
        q: '{ .a = "b&c" && duration > 1s } >> {} | rate()',
        service: 'shop',
        operation: 'GET /',
        tags: 'a=1 b="x y"',
        min: '10ms',
        max: '2s',
        limit: 20,
        sort: 'errors',
        form: 'off',
        head: 'scatter',
        sel: '1700000000000,1700000060000,250000000,',
        refresh: '30s',
      },
      tracesSearch,
    ],
    [
      'the service map',
      {
        view: 'table',
        level: 'namespace',
        open: ['prod-01/shop/', 'prod-01//'],
        errors: 'on',
        node: 'prod-01/shop/a&b',
        hops: 2,
        find: 'x y',
        lonely: 'on',
        sort: '-p95',
      },
      topologySearch,
    ],
    ['the services', { find: 'shop', sort: '-errors' }, servicesSearch],
    ['a service', { kind: 'calls', op: 'GET /a?b', sort: 'p99', ex: 'list', values: 'on' }, serviceSearch],
    [
      'trace',
      { span: 'ab', view: 'table', zoom: '10,200', fold: 'a,b', depth: 1, find: 'x=1', only: 'match', sort: 'self' },
      traceSearch,
    ],
    ['a trace added up', { view: 'stats', group: 'http.route', sort: 'p95Us', clock: 'raw', path: 'off' }, traceSearch],
    ['a flame graph', { view: 'flame', focus: '00ab', by: 'cluster' }, traceSearch],
    [
      'two traces',
      { a: 'ab', b: 'cd', view: 'table', show: 'changed', sort: 'change', clock: 'raw', focus: 7, find: 'GET /' },
      compareSearch,
    ],
  ] as const)('of %s comes back as it was written', (_name, state, read) => {
    const { to, ...rest } = state as { to?: string };
    const expected = to === undefined || to === 'now' ? rest : state;
    expect(trip(state, read as (raw: Record<string, unknown>) => object)).toEqual(expected);
  });

  it('leaves defaults out', () => {
    expect(stringifySearch({ ...commonSearch({ from: 'now-1h', to: 'now' }) })).toBe('');
  });

  it('keeps an empty query row between two others', () => {
    expect(metricsSearch(parseSearch(stringifySearch({ q: ['a', '', 'b'] }))).q).toEqual(['a', '', 'b']);
  });

  it('drops what does not fit and keeps the rest', () => {
    const raw = parseSearch('?from=whenever&to=now&refresh=1ms&tz=mars&tenant=t&cap=9999&tabs=xyz&q=up');
    expect(commonSearch(raw)).toEqual({
      from: undefined,
      to: undefined,
      refresh: undefined,
      tenant: 't',
      tz: undefined,
    });
    expect(metricsSearch(raw)).toMatchObject({ q: ['up'], cap: 500, tabs: undefined });
  });
});
