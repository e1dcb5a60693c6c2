import { describe, expect, it } from 'vitest';
import { decodeQueries, encodeQueries, startQuery } from './queries';

describe('query rows', () => {
  it('come back from their two parameters', () => {
    const rows = [
      { expr: 'up', tab: 'graph', off: false },
      { expr: 'x', tab: 'table', off: true },
      { expr: '', tab: 'values', off: false },
    ] as const;
    const { q, tabs } = encodeQueries(rows);
    expect(tabs).toBe('gTv');
    expect(decodeQueries(q, tabs)).toEqual(rows);
  });

  it('are one empty row when the address has none', () => {
    expect(decodeQueries(undefined, undefined)).toEqual([{ expr: '', tab: 'graph', off: false }]);
    expect(encodeQueries([{ expr: '', tab: 'graph', off: false }])).toEqual({ q: undefined, tabs: undefined });
  });

  it('start from what the type of a metric suggests', () => {
    expect(startQuery('x_total', 'counter')).toBe('rate(x_total[5m])');
    expect(startQuery('lat_seconds_bucket', 'histogram')).toContain('histogram_quantile(0.99');
    expect(startQuery('temp', 'gauge')).toBe('temp');
  });
});
