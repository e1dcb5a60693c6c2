/** What the federation page reads off the account of peers: order, tone, and words for links and certificates. */
import type { Federation, Lack, LinkState, Peer } from '../api/federation';
import type { Tone } from './fleet';
import { formatSpan } from './timeformat';

export function peerName(peer: Pick<Peer, 'name' | 'replica'>): string {
  return peer.replica ? `${peer.name}/${peer.replica}` : peer.name;
}

export function lackName(lack: Pick<Lack, 'cluster' | 'replica'>): string {
  return lack.replica ? `${lack.cluster}/${lack.replica}` : lack.cluster;
}

interface LinkLook {
  word: string;
  tone: Tone;
  /** What the state means for a query. */
  says: string;
}

export const LINKS: Record<LinkState, LinkLook> = {
  up: { word: 'Up', tone: 'good', says: 'It answers.' },
  connecting: { word: 'Connecting', tone: 'warn', says: 'No connection yet: it is missing from every answer.' },
  failing: { word: 'Failing', tone: 'bad', says: 'The last tries failed; queries still ask it.' },
  open: {
    word: 'Left alone',
    tone: 'bad',
    says: 'It failed several times: queries pass it by until a probe succeeds.',
  },
  unknown: { word: 'Unknown', tone: 'none', says: 'The node does not say.' },
};

const DAY_S = 86_400;
/** Time to act without haste, and time to act now. */
const WARN_DAYS = 30;
const RED_DAYS = 7;

export function certificateTone(expiresAt: number | null, nowMs: number): Tone {
  if (expiresAt === null) return 'none';
  const days = (expiresAt - nowMs / 1e3) / DAY_S;
  return days < RED_DAYS ? 'bad' : days < WARN_DAYS ? 'warn' : 'good';
}

export function certificateText(expiresAt: number | null, nowMs: number): string {
  if (expiresAt === null) return 'not told';
  const left = expiresAt - nowMs / 1e3;
  if (left <= 0) return `expired ${formatSpan(-left)} ago`;
  const days = Math.floor(left / DAY_S);
  return days >= 2 ? `${days} days left` : `${formatSpan(left)} left`;
}

/** Seconds behind of the signal that is furthest behind; null where none is told. */
export function lagOf(peer: Pick<Peer, 'signals'>, atMs: number): number | null {
  const marks = peer.signals.flatMap((one) => (one.watermark === null ? [] : [one.watermark]));
  return marks.length === 0 ? null : Math.max(0, atMs / 1e3 - Math.min(...marks));
}

const RANK: Record<Tone, number> = { bad: 0, warn: 1, none: 2, good: 3 };

/** What needs somebody first: broken links, then certificates that run out, then those furthest behind, then by name. */
export function sortPeers(peers: readonly Peer[], atMs: number): Peer[] {
  const place = (peer: Peer) => [
    RANK[LINKS[peer.state].tone],
    Math.min(RANK[certificateTone(peer.certificateExpiresAt, atMs)], 2),
    -(lagOf(peer, atMs) ?? 0),
  ];
  return [...peers].sort((a, b) => {
    const [x, y] = [place(a), place(b)];
    for (let i = 0; i < x.length; i += 1) {
      const by = (x[i] ?? 0) - (y[i] ?? 0);
      if (by !== 0) return by;
    }
    return peerName(a).localeCompare(peerName(b));
  });
}

/** The share of questions a peer did not answer whole; null before the first. */
export function lackShare(peer: Pick<Peer, 'asked' | 'partial' | 'missing'>): number | null {
  if (!peer.asked) return null;
  return ((peer.partial ?? 0) + (peer.missing ?? 0)) / peer.asked;
}

/** `mirrored`, or `metrics mirrored, logs sharded` where signals differ. */
export function replicationText(replication: Readonly<Record<string, string>>): string {
  const kinds = new Set(Object.values(replication));
  if (kinds.size <= 1) return [...kinds][0] ?? '';
  return Object.entries(replication)
    .map(([signal, kind]) => `${signal} ${kind}`)
    .join(', ');
}

export interface Overview {
  peers: number;
  up: number;
  down: number;
  /** The certificate that ends first, of any peer or of this node. */
  firstExpiry: { name: string; at: number } | null;
  slowest: { name: string; p99: number } | null;
}

export function overview(all: Federation): Overview {
  const own = { name: 'this node', at: all.certificateExpiresAt };
  const dates = [own, ...all.peers.map((peer) => ({ name: peerName(peer), at: peer.certificateExpiresAt }))].flatMap(
    ({ name, at }) => (at === null ? [] : [{ name, at }]),
  );
  const slow = all.peers.flatMap((peer) => (peer.p99 === null ? [] : [{ name: peerName(peer), p99: peer.p99 }]));
  return {
    peers: all.peers.length,
    up: all.peers.filter((peer) => peer.state === 'up').length,
    down: all.peers.filter((peer) => LINKS[peer.state].tone === 'bad').length,
    firstExpiry: dates.sort((a, b) => a.at - b.at)[0] ?? null,
    slowest: slow.sort((a, b) => b.p99 - a.p99)[0] ?? null,
  };
}
