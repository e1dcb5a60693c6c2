import { describe, expect, it } from 'vitest';
import { mergeCoverage, readCoverage, worstState } from '../api/coverage';
import { findPosition, readError } from '../api/http';
import { sparkPath } from '../chart/Sparkline';
import { assignSlots, SLOTS } from './colour';
import { ageOf, rateOf, toneOfAge, totals } from './fleet';
import { decodeQueries, encodeQueries, startQuery } from './queries';
import { rank } from './rank';
import { niceStep, promDuration } from './steps';
import { pan, parseWindow, ticks, windowText, zoomAt } from './zoom';

describe('coverage', () => {
  const row = (cluster: string, state: string, reason = '') => readCoverage({ coverage: [{ cluster, replica: '', signal: 'logs', state, reason }] });

  it('of a page is that of its least complete answer', () => {
    const merged = mergeCoverage([row('a', 'complete'), row('a', 'missing', 'refused'), row('b', 'late')]);
    expect(merged.map((one) => [one.cluster, one.state, one.reason])).toEqual([['a', 'missing', 'refused'], ['b', 'late', '']]);
    expect(worstState(merged)).toBe('missing');
    expect(worstState([])).toBe('unknown');
  });

  it('in a state nobody knows counts as partial, never as fine', () => {
    expect(row('a', 'splendid')[0]?.state).toBe('partial');
    expect(readCoverage({ coverage: 'yes' })).toEqual([]);
    expect(readCoverage(null)).toEqual([]);
  });
});

describe('errors', () => {
  it('keep the words of Prometheus, Jaeger and Loki', () => {
    expect(readError(400, '{"status":"error","errorType":"bad_data","error":"1:5: parse error"}')).toMatchObject({ message: '1:5: parse error', kind: 'bad_data', position: { line: 1, column: 5 } });
    expect(readError(404, '{"errors":[{"code":404,"msg":"trace not found"}]}').message).toBe('trace not found');
    expect(readError(400, 'parse error at line 2, col 9: unexpected }').position).toEqual({ line: 2, column: 9 });
    expect(readError(502, '').message).toContain('502');
  });

  it('have no position when the message names none', () => {
    expect(findPosition('too many samples: 12 of 10')).toBeNull();
  });
});

describe('colours', () => {
  it('are the same whatever the order and distinct while there are enough', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const slots = assignSlots(names);
    expect(assignSlots([...names].reverse())).toEqual(slots);
    expect(new Set(slots.values()).size).toBe(names.length);
  });

  it('start again when there are more names than colours', () => {
    expect(assignSlots(Array.from({ length: SLOTS * 3 }, (_, i) => String(i))).size).toBe(SLOTS * 3);
  });
});

describe('steps', () => {
  it('are round and never finer than asked', () => {
    expect(niceStep(36e5, 360)).toBe(10);
    expect(niceStep(36e5, 60, 15)).toBe(60);
    expect(niceStep(3e5, 360)).toBe(1);
    expect(niceStep(86400e3 * 365 * 10, 300)).toBe(604800 * 2);
  });

  it('are written as durations', () => {
    expect([1, 90, 3600, 90000].map(promDuration)).toEqual(['1s', '1m30s', '1h', '1d1h']);
  });
});

describe('query rows', () => {
  it('come back from their two parameters', () => {
    const rows = [{ expr: 'up', tab: 'graph', off: false }, { expr: 'x', tab: 'table', off: true }, { expr: '', tab: 'values', off: false }] as const;
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

describe('ranking', () => {
  it('prefers the start of the name, then of a word', () => {
    expect(rank(['xcpu', 'sys_cpu', 'cpu_time', 'other'], 'cpu', (name) => name, 10)).toEqual(['cpu_time', 'sys_cpu', 'xcpu']);
  });

  it('wants every word', () => {
    expect(rank(['a_b', 'a_c'], 'a c', (name) => name, 10)).toEqual(['a_c']);
  });
});

describe('the zoom window', () => {
  it('keeps the anchor in place and stays inside the trace', () => {
    expect(zoomAt({ from: 0, to: 1000 }, 0.5, 0.5, 1000)).toEqual({ from: 250, to: 750 });
    expect(zoomAt({ from: 250, to: 750 }, 10, 0.5, 1000)).toEqual({ from: 0, to: 1000 });
    expect(pan({ from: 800, to: 1000 }, 0.5, 1000)).toEqual({ from: 800, to: 1000 });
  });

  it('is left out of the address when it shows everything', () => {
    expect(windowText({ from: 0, to: 1000 }, 1000)).toBeUndefined();
    expect(windowText({ from: 10.4, to: 900 }, 1000)).toBe('10,900');
    expect(parseWindow('900,10', 1000)).toEqual({ from: 0, to: 1000 });
    expect(parseWindow('10,900', 1000)).toEqual({ from: 10, to: 900 });
  });

  it('has round ticks', () => {
    expect(ticks({ from: 0, to: 1000 }, 5)).toEqual([0, 200, 400, 600, 800, 1000]);
    expect(ticks({ from: 0, to: 0 }, 5).length).toBeLessThanOrEqual(100);
  });
});

describe('the fleet', () => {
  const signal = { signal: 'logs', items_total: 5, items_per_second: 2, bytes_stored: 10, segments: 1, head_bytes: 1, oldest: 1, newest: 100 };
  const node = { cluster: 'a', replica: '', version: '1', started_at: 0, uptime_seconds: 1, memory: { limit_bytes: 1, used_bytes: 1 }, disk: { free_bytes: 1, total_bytes: 2, used_bytes: 1 }, signals: [signal], tenants: [] };

  it('is as fresh as its slowest node', () => {
    const sums = totals([node, { ...node, cluster: 'b', signals: [{ ...signal, newest: 40 }] }], 130e3);
    expect(sums[0]).toMatchObject({ signal: 'logs', perSecond: 4, items: 10, worst: { node: 'b', age: 90 } });
    expect(totals([{ ...node, signals: [{ ...signal, newest: null }] }], 1)[0]?.worst?.age).toBeNull();
  });

  it('calls silence by its length', () => {
    expect([3, 90, 900, null].map(toneOfAge)).toEqual(['good', 'warn', 'bad', 'none']);
    expect(ageOf(signal, 90e3)).toBe(0);
  });

  it('matches rates by cluster, and rates without a cluster to the only node', () => {
    const series = (labels: Record<string, string>) => ({ labels, times: [], values: [] });
    expect(rateOf([series({ signal: 'logs', cluster: 'b' }), series({ signal: 'logs', cluster: 'a' })], node, 'logs')?.labels.cluster).toBe('a');
    expect(rateOf([series({ signal: 'logs' })], node, 'logs')).toBeDefined();
    expect(rateOf([series({ signal: 'metrics' })], node, 'logs')).toBeUndefined();
  });
});

it('draws a gap in a sparkline as a gap', () => {
  expect(sparkPath([0, null, 1], 100, 20).match(/M/g)).toHaveLength(2);
});
