/** What the nodes say about themselves; of those that were not reached, what their peers announced last. */
import { number, object, objects, text, type Wire } from '../lib/untyped';
import { type Answer, type Ask, getJson } from './http';

export interface SignalState {
  signal: string;
  /** Null where only an announcement is known: it tells times and no counts. */
  items_total: number | null;
  items_per_second: number | null;
  bytes_stored: number | null;
  segments: number | null;
  head_bytes: number | null;
  /** Unix seconds. */
  oldest: number | null;
  newest: number | null;
}

export interface NodeState {
  cluster: string;
  replica: string;
  version: string;
  /** Unix seconds. */
  started_at: number | null;
  uptime_seconds: number | null;
  memory: { limit_bytes: number; used_bytes: number } | null;
  disk: { free_bytes: number; total_bytes: number; used_bytes: number } | null;
  /** Why the node takes nothing in at the moment. */
  refusing: string | null;
  signals: SignalState[];
  /** Names where the node may tell them, otherwise how many there are; null where it told neither. */
  tenants: string[] | number | null;
  /** This account is the node's own and of now. */
  reached: boolean;
  /** The peer it is known by; null for the node that answers. */
  peer: string | null;
}

export async function fleet(ask: Omit<Ask, 'params'>): Promise<Answer<NodeState[]>> {
  const answer = await getJson<{ nodes?: unknown }>('/api/v1/orrery/fleet', ask);
  return { ...answer, data: objects(answer.data.nodes).map(shapeNode) };
}

export function shapeNode(wire: Wire): NodeState {
  const memory = object(wire.memory);
  const disk = object(wire.disk);
  const link = object(wire.link);
  return {
    cluster: text(wire.cluster) || 'local',
    replica: text(wire.replica),
    version: text(wire.version),
    started_at: number(wire.started_at),
    uptime_seconds: number(wire.uptime_seconds),
    memory: memory
      ? { limit_bytes: number(memory.limit_bytes) ?? 0, used_bytes: number(memory.used_bytes) ?? 0 }
      : null,
    disk: disk
      ? {
          free_bytes: number(disk.free_bytes) ?? 0,
          total_bytes: number(disk.total_bytes) ?? 0,
          used_bytes: number(disk.used_bytes) ?? 0,
        }
      : null,
    refusing: text(wire.refusing) || null,
    signals: objects(wire.signals).map(shapeSignal),
    tenants: Array.isArray(wire.tenants) ? wire.tenants.map(String) : number(wire.tenants),
    // A node that knows no federation says neither: it speaks of itself.
    reached: wire.reached !== false,
    peer: link ? text(link.peer) || text(wire.cluster) : null,
  };
}

function shapeSignal(wire: Wire): SignalState {
  return {
    signal: text(wire.signal),
    items_total: number(wire.items_total),
    items_per_second: number(wire.items_per_second),
    bytes_stored: number(wire.bytes_stored),
    segments: number(wire.segments),
    head_bytes: number(wire.head_bytes),
    oldest: number(wire.oldest),
    newest: number(wire.newest),
  };
}
