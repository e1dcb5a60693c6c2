import { describe, expect, it } from 'vitest';
import { type Peer, shapeFederation } from '../api/federation';
import {
  certificateText,
  certificateTone,
  lackShare,
  lagOf,
  overview,
  peerName,
  replicationText,
  sortPeers,
} from './peers';

const NOW = 1_700_000_000_000;
const DAY = 86_400;

const peers = (list: object[]): Peer[] => shapeFederation({ peers: list }).peers;
const inDays = (days: number) => NOW / 1e3 + days * DAY;

describe('peers', () => {
  it('stand with those that need somebody first', () => {
    const sorted = sortPeers(
      peers([
        { name: 'fine', state: 'up', signals: [{ signal: 'logs', watermark: NOW / 1e3 - 5 }] },
        { name: 'behind', state: 'up', signals: [{ signal: 'logs', watermark: NOW / 1e3 - 500 }] },
        { name: 'ending', state: 'up', certificate_expires_at: inDays(3) },
        { name: 'gone', state: 'failing' },
        { name: 'new', state: 'connecting' },
        { name: 'also-gone', state: 'open' },
      ]),
      NOW,
    );
    expect(sorted.map(peerName)).toEqual(['also-gone', 'gone', 'new', 'ending', 'behind', 'fine']);
  });

  it('have a certificate that warns under 30 days and is red under 7', () => {
    expect([40, 29, 6, -1].map((days) => certificateTone(inDays(days), NOW))).toEqual(['good', 'warn', 'bad', 'bad']);
    expect(certificateTone(null, NOW)).toBe('none');
    expect([40.5, 1, -2].map((days) => certificateText(inDays(days), NOW))).toEqual([
      '40 days left',
      '1d left',
      'expired 2d ago',
    ]);
  });

  it('are as far behind as the signal that is furthest behind', () => {
    const [peer] = peers([
      {
        name: 'a',
        signals: [
          { signal: 'logs', watermark: NOW / 1e3 - 5 },
          { signal: 'metrics', watermark: NOW / 1e3 - 60 },
          { signal: 'traces', watermark: null },
        ],
      },
    ]);
    expect(peer && lagOf(peer, NOW)).toBe(60);
    expect(lagOf({ signals: [] }, NOW)).toBeNull();
  });

  it('were asked so often, and did not answer whole so often', () => {
    expect(lackShare({ asked: 200, partial: 3, missing: 1 })).toBe(0.02);
    expect(lackShare({ asked: 0, partial: 0, missing: 0 })).toBeNull();
    expect(replicationText({ metrics: 'mirrored', logs: 'mirrored' })).toBe('mirrored');
    expect(replicationText({ metrics: 'mirrored', logs: 'sharded' })).toBe('metrics mirrored, logs sharded');
    expect(replicationText({})).toBe('');
  });

  it('are summed up with the certificate that ends first, ours among them', () => {
    const all = shapeFederation({
      certificate_expires_at: inDays(10),
      peers: [
        { name: 'a', state: 'up', certificate_expires_at: inDays(20), latency_seconds: { p99: 0.2 } },
        { name: 'b', replica: 'x', state: 'open', latency_seconds: { p99: 3 } },
      ],
    });
    expect(overview(all)).toEqual({
      peers: 2,
      up: 1,
      down: 1,
      firstExpiry: { name: 'this node', at: inDays(10) },
      slowest: { name: 'b/x', p99: 3 },
    });
  });
});
