import { describe, expect, it } from 'vitest';
import { ageOf, rateOf, toneOfAge, totals } from './fleet';

describe('the fleet', () => {
  const signal = {
    signal: 'logs',
    items_total: 5,
    items_per_second: 2,
    bytes_stored: 10,
    segments: 1,
    head_bytes: 1,
    oldest: 1,
    newest: 100,
  };
  const node = {
    cluster: 'a',
    replica: '',
    version: '1',
    started_at: 0,
    uptime_seconds: 1,
    memory: { limit_bytes: 1, used_bytes: 1 },
    disk: { free_bytes: 1, total_bytes: 2, used_bytes: 1 },
    signals: [signal],
    tenants: [],
  };

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
    expect(
      rateOf([series({ signal: 'logs', cluster: 'b' }), series({ signal: 'logs', cluster: 'a' })], node, 'logs')?.labels
        .cluster,
    ).toBe('a');
    expect(rateOf([series({ signal: 'logs' })], node, 'logs')).toBeDefined();
    expect(rateOf([series({ signal: 'metrics' })], node, 'logs')).toBeUndefined();
  });
});
