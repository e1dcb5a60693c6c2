import { describe, expect, it } from 'vitest';
import { shapeNode } from '../api/fleet';
import { ageOf, clustersOf, rateOf, toneOfAge, totals } from './fleet';

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
    memory: { limit_bytes: 10, used_bytes: 1 },
    disk: { free_bytes: 1, total_bytes: 2, used_bytes: 1 },
    refusing: null,
    signals: [signal],
    tenants: [],
    reached: true,
    peer: null,
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

  it('folds replicas into clusters, the worst first', () => {
    const at = 130e3;
    const behind = { ...signal, newest: 40 };
    const clusters = clustersOf(
      [
        { ...node, cluster: 'fine', signals: [{ ...signal, newest: 120 }] },
        { ...node, cluster: 'pair', replica: 'a', peer: 'pair', signals: [{ ...signal, newest: 125 }] },
        { ...node, cluster: 'pair', replica: 'b', peer: 'pair', signals: [behind] },
        { ...node, cluster: 'gone', peer: 'gone', reached: false, signals: [behind] },
        { ...node, cluster: 'full', memory: { limit_bytes: 100, used_bytes: 95 }, signals: [] },
      ],
      at,
    );
    expect(clusters.map((one) => [one.name, one.tone])).toEqual([
      ['gone', 'bad'],
      ['full', 'bad'],
      ['pair', 'warn'],
      ['fine', 'good'],
    ]);
    const pair = clusters[2];
    expect(pair?.nodes.map((one) => one.replica)).toEqual(['b', 'a']);
    expect(pair?.troubles).toEqual(['b: logs behind']);
    // An answer shows what the freshest replica has; the lag is that of the slowest.
    expect(pair?.signals).toEqual([{ signal: 'logs', age: 5, perSecond: 4 }]);
    expect(pair?.lag).toBe(90);
    expect(clusters.map((one) => one.local)).toEqual([false, true, false, true]);
  });

  it('takes a peer for what little its announcement says', () => {
    const told = shapeNode({
      cluster: 'dev-01',
      replica: null,
      version: null,
      memory: null,
      reached: false,
      link: { peer: 'dev-01' },
      signals: [{ signal: 'metrics', oldest: 10, newest: 120 }],
    });
    expect(told).toMatchObject({ memory: null, disk: null, peer: 'dev-01', reached: false, tenants: null });
    const [cluster] = clustersOf([told], 130e3);
    expect(cluster).toMatchObject({ tone: 'bad', troubles: ['not reached'], lag: 10, versions: [] });
    expect(cluster?.signals[0]?.perSecond).toBeNull();
    expect(cluster?.memory).toBeNaN();
  });
});
