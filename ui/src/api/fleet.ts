/** What the nodes say about themselves. */
import { type Answer, type Ask, getJson } from './http';

export interface SignalState {
  signal: string;
  items_total: number;
  items_per_second: number;
  bytes_stored: number;
  segments: number;
  head_bytes: number;
  /** Unix seconds. */
  oldest: number | null;
  newest: number | null;
}

export interface NodeState {
  cluster: string | null;
  replica: string | null;
  version: string;
  /** Unix seconds. */
  started_at: number;
  uptime_seconds: number;
  memory: { limit_bytes: number; used_bytes: number };
  disk: { free_bytes: number; total_bytes: number; used_bytes: number };
  /** Why the node takes nothing in at the moment. */
  refusing?: string | null;
  signals: SignalState[];
  /** Names where the node may tell them, otherwise how many there are. */
  tenants: string[] | number;
}

export async function fleet(ask: Omit<Ask, 'params'>): Promise<Answer<NodeState[]>> {
  const answer = await getJson<{ nodes?: NodeState[] }>('/api/v1/orrery/fleet', ask);
  return { ...answer, data: answer.data.nodes ?? [] };
}
