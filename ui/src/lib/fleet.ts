/** What the fleet page reads off the nodes' own accounts: clusters with the worst first, and sums over all of them. */
import type { NodeState, SignalState } from '../api/fleet';
import type { Series } from '../api/prom';

export type Tone = 'good' | 'warn' | 'bad' | 'none';

/** Seconds since the newest item; null before the first one. */
export function ageOf(signal: Pick<SignalState, 'newest'>, atMs: number): number | null {
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
export function rateOf(
  series: readonly Series[],
  node: Pick<NodeState, 'cluster' | 'replica'>,
  signal: string,
): Series | undefined {
  const fits = (wanted: string, has: string | undefined) => has === undefined || has === '' || has === wanted;
  return series.find(
    (one) =>
      one.labels.signal === signal && fits(node.cluster, one.labels.cluster) && fits(node.replica, one.labels.replica),
  );
}

const ORDER = ['metrics', 'logs', 'traces'];

export function sortSignals<S extends { signal: string }>(signals: readonly S[]): S[] {
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
      out.perSecond += one.items_per_second ?? 0;
      out.items += one.items_total ?? 0;
      out.bytes += one.bytes_stored ?? 0;
      const age = ageOf(one, atMs);
      if (!out.worst || (age ?? Infinity) > (out.worst.age ?? Infinity)) out.worst = { node: nodeName(node), age };
    }
    return out;
  });
}

export interface ClusterSignal {
  signal: string;
  /** Seconds since the newest item of the freshest replica: what an answer can show. */
  age: number | null;
  /** Of all replicas together; null where none tells. */
  perSecond: number | null;
}

/** One row of the fleet: a cluster with its replicas. */
export interface Cluster {
  name: string;
  /** Worst first. */
  nodes: NodeState[];
  tone: Tone;
  /** What is wrong, in the order of weight; empty where nothing is. */
  troubles: string[];
  signals: ClusterSignal[];
  /** Seconds the replica and signal that are furthest behind are behind by. */
  lag: number | null;
  versions: string[];
  /** Shares of the fullest replica. */
  memory: number;
  disk: number;
  /** It holds the node that answers. */
  local: boolean;
}

const RANK: Record<Tone, number> = { bad: 0, warn: 1, none: 2, good: 3 };

export function memoryShare(node: Pick<NodeState, 'memory'>): number {
  return node.memory && node.memory.limit_bytes > 0 ? node.memory.used_bytes / node.memory.limit_bytes : NaN;
}

export function diskShare(node: Pick<NodeState, 'disk'>): number {
  return node.disk && node.disk.total_bytes > 0
    ? (node.disk.total_bytes - node.disk.free_bytes) / node.disk.total_bytes
    : NaN;
}

/** Clusters with the worst first; `linkTone` judges the link of a node where somebody knows more of it. */
export function clustersOf(
  nodes: readonly NodeState[],
  atMs: number,
  linkTone: (node: NodeState) => Tone = (node) => (node.reached ? 'good' : 'bad'),
): Cluster[] {
  const byName = new Map<string, NodeState[]>();
  for (const node of nodes) byName.set(node.cluster, [...(byName.get(node.cluster) ?? []), node]);
  return [...byName]
    .map(([name, members]) => clusterOf(name, members, atMs, linkTone))
    .sort(
      (a, b) =>
        RANK[a.tone] - RANK[b.tone] ||
        b.troubles.length - a.troubles.length ||
        toneRank(a) - toneRank(b) ||
        a.name.localeCompare(b.name),
    );
}

function toneRank(cluster: Cluster): number {
  return RANK[toneOfAge(cluster.lag)];
}

function clusterOf(
  name: string,
  members: readonly NodeState[],
  atMs: number,
  linkTone: (node: NodeState) => Tone,
): Cluster {
  const judged = members.map((node) => judge(node, atMs, linkTone(node)));
  const order = judged
    .map((one, i) => ({ ...one, node: members[i] as NodeState }))
    .sort((a, b) => RANK[a.tone] - RANK[b.tone] || a.node.replica.localeCompare(b.node.replica));
  const told = (troubles: readonly string[], node: NodeState) =>
    members.length > 1 ? troubles.map((trouble) => `${node.replica || 'one'}: ${trouble}`) : troubles;
  const ages = members.flatMap((node) => node.signals.flatMap((one) => ageOf(one, atMs) ?? []));
  return {
    name,
    nodes: order.map((one) => one.node),
    tone: order[0]?.tone ?? 'none',
    troubles: order.flatMap((one) => told(one.troubles, one.node)),
    signals: clusterSignals(members, atMs),
    lag: ages.length > 0 ? Math.max(...ages) : null,
    versions: [...new Set(members.map((node) => node.version).filter(Boolean))].sort(),
    memory: greatest(members.map(memoryShare)),
    disk: greatest(members.map(diskShare)),
    local: members.some((node) => node.peer === null),
  };
}

function clusterSignals(members: readonly NodeState[], atMs: number): ClusterSignal[] {
  const bySignal = new Map<string, ClusterSignal>();
  for (const one of members.flatMap((node) => node.signals)) {
    const seen = bySignal.get(one.signal) ?? { signal: one.signal, age: null, perSecond: null };
    const age = ageOf(one, atMs);
    if (age !== null) seen.age = Math.min(seen.age ?? Infinity, age);
    if (one.items_per_second !== null) seen.perSecond = (seen.perSecond ?? 0) + one.items_per_second;
    bySignal.set(one.signal, seen);
  }
  return sortSignals([...bySignal.values()]);
}

function greatest(shares: readonly number[]): number {
  const known = shares.filter(Number.isFinite);
  return known.length > 0 ? Math.max(...known) : NaN;
}

/** What is wrong with one node. A signal that never came is no trouble: not every cluster sends all three. */
function judge(node: NodeState, atMs: number, link: Tone): { tone: Tone; troubles: string[] } {
  const found: { tone: Tone; text: string }[] = [];
  if (link === 'bad' || link === 'warn') found.push({ tone: link, text: 'not reached' });
  if (node.refusing) found.push({ tone: 'bad', text: `takes nothing in: ${node.refusing}` });
  // Of one that is not reached all is old: that it is not reached says so.
  for (const one of node.reached ? sortSignals(node.signals) : []) {
    const tone = toneOfAge(ageOf(one, atMs));
    if (tone === 'bad' || tone === 'warn') found.push({ tone, text: `${one.signal} behind` });
  }
  for (const [text, share] of [
    ['memory', memoryShare(node)],
    ['disk', diskShare(node)],
  ] as const) {
    const tone = toneOfShare(share);
    if (tone === 'bad' || tone === 'warn') found.push({ tone, text: `${text} ${Math.round(share * 100)} % full` });
  }
  const sorted = found.sort((a, b) => RANK[a.tone] - RANK[b.tone]);
  const quiet: Tone = node.signals.length === 0 && !node.reached ? 'none' : 'good';
  return { tone: sorted[0]?.tone ?? quiet, troubles: sorted.map((one) => one.text) };
}
