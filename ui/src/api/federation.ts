/** Whom this node asks, and whom recent answers missed. */
import { number, object, objects, text, texts, type Wire } from '../lib/untyped';
import { type CoverageState, readCoverageState } from './coverage';
import { type Answer, type Ask, getJson } from './http';

export type LinkState = 'connecting' | 'up' | 'failing' | 'open' | 'unknown';

export interface PeerSignal {
  signal: string;
  /** Unix seconds; null before the first item, or where the peer does not tell. */
  oldest: number | null;
  watermark: number | null;
}

export interface Peer {
  name: string;
  replica: string;
  address: string;
  kind: string;
  /** Who dialled: this node, or the peer (one behind NAT). */
  direction: 'out' | 'in';
  state: LinkState;
  /** Unix seconds: when it entered this state. */
  since: number | null;
  lastError: string;
  version: string;
  labels: Readonly<Record<string, string>>;
  signals: PeerSignal[];
  certificateExpiresAt: number | null;
  asked: number | null;
  partial: number | null;
  missing: number | null;
  p50: number | null;
  p99: number | null;
  /** How its replicas divide each signal between them. */
  replication: Readonly<Record<string, string>>;
}

/** An answer that lacked something. */
export interface Lack {
  at: number;
  signal: string;
  cluster: string;
  replica: string;
  state: CoverageState;
  reason: string;
}

export interface Federation {
  cluster: string;
  replica: string;
  certificateExpiresAt: number | null;
  peers: Peer[];
  recent: Lack[];
}

const LINKS: readonly LinkState[] = ['connecting', 'up', 'failing', 'open'];

export async function federation(ask: Omit<Ask, 'params'>): Promise<Answer<Federation>> {
  const answer = await getJson<unknown>('/api/v1/orrery/federation', ask);
  return { ...answer, data: shapeFederation(answer.data) };
}

/** Every field may be absent: a foreign peer tells little, and one that was never reached nothing. */
export function shapeFederation(body: unknown): Federation {
  const wire = object(body) ?? {};
  return {
    cluster: text(wire.cluster) || 'local',
    replica: text(wire.replica),
    certificateExpiresAt: number(wire.certificate_expires_at),
    peers: objects(wire.peers).map(shapePeer),
    recent: objects(wire.recent).map((one) => ({
      at: number(one.at) ?? 0,
      signal: text(one.signal),
      cluster: text(one.cluster),
      replica: text(one.replica),
      state: readCoverageState(one.state),
      reason: text(one.reason),
    })),
  };
}

function shapePeer(wire: Wire): Peer {
  const latency = object(wire.latency_seconds) ?? {};
  return {
    name: text(wire.name) || text(wire.address) || 'unnamed',
    replica: text(wire.replica),
    address: text(wire.address),
    kind: text(wire.kind) || 'orrery',
    direction: wire.direction === 'in' ? 'in' : 'out',
    state: LINKS.find((state) => state === wire.state) ?? 'unknown',
    since: number(wire.since),
    lastError: text(wire.last_error),
    version: text(wire.version),
    labels: texts(wire.labels),
    signals: objects(wire.signals).map((one) => ({
      signal: text(one.signal),
      oldest: number(one.oldest),
      watermark: number(one.watermark),
    })),
    certificateExpiresAt: number(wire.certificate_expires_at),
    asked: number(wire.asked_total),
    partial: number(wire.partial_total),
    missing: number(wire.missing_total),
    p50: number(latency.p50),
    p99: number(latency.p99),
    replication: texts(wire.replication),
  };
}
