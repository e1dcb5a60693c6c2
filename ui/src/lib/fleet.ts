/** What the fleet page reads off the nodes' own accounts. */
import type { NodeState, SignalState } from '../api/fleet';
import type { Series } from '../api/prom';

export type Tone = 'good' | 'warn' | 'bad' | 'none';

/** Seconds since the newest item; null before the first one. */
export function ageOf(signal: SignalState, atMs: number): number | null {
  return signal.newest === null ? null : Math.max(0, atMs / 1e3 - signal.newest);
}

/** Two missed scrapes of the usual 30 s are worth a look, five minutes are an outage. */
export function toneOfAge(seconds: number | null): Tone {
  if (seconds === null) return 'none';
  return seconds < 60 ? 'good' : seconds < 300 ? 'warn' : 'bad';
}

export function toneOfShare(share: number): Tone {
  if (!Number.isFinite(share)) return 'none';
  return share < 0.8 ? 'good' : share < 0.92 ? 'warn' : 'bad';
}

export function nodeName(node: Pick<NodeState, 'cluster' | 'replica'>): string {
  return node.replica ? `${node.cluster || 'local'}/${node.replica}` : node.cluster || 'local';
}

/** The rate series of one node and signal. A node that is not told its cluster stamps none, so absence matches. */
export function rateOf(series: readonly Series[], node: NodeState, signal: string): Series | undefined {
  const fits = (wanted: string | null, has: string | undefined) => has === undefined || has === '' || has === wanted;
  return series.find(
    (one) =>
      one.labels.signal === signal && fits(node.cluster, one.labels.cluster) && fits(node.replica, one.labels.replica),
  );
}

const ORDER = ['metrics', 'logs', 'traces'];

export function sortSignals(signals: readonly SignalState[]): SignalState[] {
  const place = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return [...signals].sort((a, b) => place(a.signal) - place(b.signal) || a.signal.localeCompare(b.signal));
}

export interface Totals {
  signal: string;
  perSecond: number;
  items: number;
  bytes: number;
  /** The node whose newest item is the oldest: freshness of a fleet is that of its slowest member. */
  worst: { node: string; age: number | null } | null;
}

export function totals(nodes: readonly NodeState[], atMs: number): Totals[] {
  const names = sortSignals([
    ...new Map(nodes.flatMap((node) => node.signals).map((one) => [one.signal, one])).values(),
  ]).map((one) => one.signal);
  return names.map((signal) => {
    const out: Totals = { signal, perSecond: 0, items: 0, bytes: 0, worst: null };
    for (const node of nodes) {
      const one = node.signals.find((candidate) => candidate.signal === signal);
      if (!one) continue;
      out.perSecond += one.items_per_second;
      out.items += one.items_total;
      out.bytes += one.bytes_stored;
      const age = ageOf(one, atMs);
      if (!out.worst || (age ?? Infinity) > (out.worst.age ?? Infinity)) out.worst = { node: nodeName(node), age };
    }
    return out;
  });
}
