import { describe, expect, it } from 'vitest';
import { shapeFederation } from './federation';

describe('the account of peers', () => {
  it('is read whole', () => {
    const read = shapeFederation({
      cluster: 'ops-01',
      replica: null,
      certificate_expires_at: 1_800_000_000,
      peers: [
        {
          name: 'prod-01',
          replica: 'a',
          address: 'prod-01:9495',
          kind: 'orrery',
          direction: 'in',
          state: 'open',
          since: 1_700_000_000,
          last_error: 'no answer within 10 s',
          version: '0.4.0',
          labels: { cluster: 'prod-01', env: 'prod' },
          signals: [{ signal: 'metrics', oldest: 1_690_000_000, watermark: 1_700_000_000.5 }],
          certificate_expires_at: 1_710_000_000,
          asked_total: 12,
          partial_total: 1,
          missing_total: 3,
          latency_seconds: { p50: 0.02, p99: 1.5 },
          replication: { metrics: 'mirrored', logs: 'sharded' },
        },
      ],
      recent: [{ at: 1_700_000_000, signal: 'logs', cluster: 'prod-01', replica: 'a', state: 'missing', reason: 'x' }],
    });
    expect(read.peers[0]).toMatchObject({ state: 'open', direction: 'in', p99: 1.5, missing: 3, replica: 'a' });
    expect(read.peers[0]?.replication).toEqual({ metrics: 'mirrored', logs: 'sharded' });
    expect(read.recent[0]?.state).toBe('missing');
  });

  it('may lack anything, and an unknown state is never up', () => {
    const read = shapeFederation({ peers: [{ address: 'x:9090', state: 'splendid', latency_seconds: null }, null] });
    expect(read.peers.map((peer) => [peer.name, peer.state, peer.p50, peer.asked])).toEqual([
      ['x:9090', 'unknown', null, null],
      ['unnamed', 'unknown', null, null],
    ]);
    expect(read.recent).toEqual([]);
    expect(shapeFederation('no').peers).toEqual([]);
  });
});
