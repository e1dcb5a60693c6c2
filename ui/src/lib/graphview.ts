/** What of the service graph is shown: groups folded or open, edges that fail, the surroundings of a node. */
import { errorShare, type GraphEdge, type GraphNode, nodeKey, type ServiceGraph } from './servicegraph';

export type Level = 'cluster' | 'namespace' | 'service';

/** More nodes than this on one picture, and names are no longer read. */
const READABLE = 60;
/** Nodes drawn at most: past it a layout takes too long, and the table is the better way. */
export const MOST_NODES = 400;

function namesOf(graph: ServiceGraph, of: (node: GraphNode) => string): Set<string> {
  return new Set([...graph.nodes.values()].filter((node) => node.kind === 'service').map(of));
}

/** The finest level whose nodes can all be read. */
export function usualLevel(graph: ServiceGraph): Level {
  if (graph.nodes.size <= READABLE) return 'service';
  const namespaces = namesOf(graph, (node) => groupKey(node, 'namespace'));
  if (namespaces.size > 1 && namespaces.size <= READABLE) return 'namespace';
  return namesOf(graph, (node) => node.cluster).size > 1 ? 'cluster' : 'service';
}

/** Levels that there is anything to tell apart by. */
export function levelsOf(graph: ServiceGraph): Level[] {
  const out: Level[] = ['service'];
  if (namesOf(graph, (node) => node.namespace).size > 1) out.unshift('namespace');
  if (namesOf(graph, (node) => node.cluster).size > 1) out.unshift('cluster');
  return out;
}

export function groupKey(node: Pick<GraphNode, 'cluster' | 'namespace'>, level: Exclude<Level, 'service'>): string {
  return nodeKey(node.cluster, level === 'cluster' ? '' : node.namespace, '');
}

/** What stands for a node. A group whose key is in `open` has the other fold than the level gives it. */
function shownAs(node: GraphNode, level: Level, open: ReadonlySet<string>): string {
  const cluster = groupKey(node, 'cluster');
  const namespace = groupKey(node, 'namespace');
  const isPlaced = node.kind === 'service' || node.kind === 'group';
  if (level === 'cluster' && !open.has(cluster)) return isPlaced || node.cluster !== '' ? cluster : node.key;
  // Databases and what sends no spans are of no namespace: they stand for themselves.
  if (node.namespace === '') return node.key;
  const isFolded = level === 'service' ? open.has(namespace) : !open.has(namespace);
  return isFolded ? namespace : node.key;
}

/** Nodes and edges with groups in place of what is in them. Edges inside of a group are not seen. */
export function foldGraph(graph: ServiceGraph, level: Level, open: ReadonlySet<string>): ServiceGraph {
  const nodes = new Map<string, GraphNode>();
  const place = new Map<string, string>();
  for (const node of graph.nodes.values()) {
    const key = shownAs(node, level, open);
    place.set(node.key, key);
    const seen = nodes.get(key);
    if (key === node.key) nodes.set(key, node);
    else if (seen) {
      seen.members += node.members;
      addRates(seen, node);
    } else {
      const [, namespace = ''] = key.split('/');
      const name = namespace || node.cluster || 'no cluster';
      nodes.set(key, { ...node, key, name, namespace, kind: 'group' });
    }
  }
  const edges = new Map<string, GraphEdge>();
  for (const edge of graph.edges) {
    const [from, to] = [place.get(edge.from) ?? edge.from, place.get(edge.to) ?? edge.to];
    if (from === to && (from !== edge.from || to !== edge.to)) continue;
    const isWhole = from === edge.from && to === edge.to;
    const type = isWhole ? edge.type : '';
    const key = JSON.stringify([from, to, type]);
    const seen = edges.get(key);
    if (seen) addRates(seen, edge);
    else edges.set(key, { ...edge, from, to, type });
  }
  return { nodes, edges: [...edges.values()].sort((a, b) => b.rate - a.rate) };
}

/** The slowest stands for all: percentiles do not add up. */
function addRates(into: GraphNode | GraphEdge, one: GraphNode | GraphEdge): void {
  into.rate += one.rate;
  into.failed += one.failed;
  if (one.p95 !== null) into.p95 = Math.max(into.p95 ?? 0, one.p95);
}

export interface Filter {
  errors: boolean;
  /** Only what is within so many hops of the node. */
  node: string | undefined;
  hops: number | undefined;
  /** Services without any edge, too. */
  lonely: boolean;
}

export interface Filtered extends ServiceGraph {
  /** Services without an edge that are not shown. */
  hidden: number;
  /** Nodes beyond what can be drawn. */
  cut: number;
}

export function filterGraph(graph: ServiceGraph, filter: Filter): Filtered {
  let edges = graph.edges;
  if (filter.errors) edges = edges.filter((edge) => errorShare(edge) > 0);
  let kept = new Set(edges.flatMap((edge) => [edge.from, edge.to]));
  if (filter.node !== undefined && graph.nodes.has(filter.node)) {
    kept.add(filter.node);
    if (filter.hops !== undefined) kept = within(edges, filter.node, filter.hops);
  }
  const lonely = [...graph.nodes.keys()].filter((key) => !kept.has(key) && !graph.edges.some((e) => e.from === key || e.to === key)); // prettier-ignore
  const isAll = !filter.errors && filter.hops === undefined;
  if (filter.lonely && isAll) for (const key of lonely) kept.add(key);
  const busiest = [...kept].flatMap((key) => graph.nodes.get(key) ?? []).sort((a, b) => b.rate - a.rate);
  const nodes = new Map(
    busiest
      .slice(0, MOST_NODES)
      .sort((a, b) => a.key.localeCompare(b.key))
      .map((node) => [node.key, node]),
  );
  return {
    nodes,
    edges: edges.filter((edge) => nodes.has(edge.from) && nodes.has(edge.to)),
    hidden: filter.lonely || !isAll ? 0 : lonely.length,
    cut: Math.max(0, busiest.length - MOST_NODES),
  };
}

/** The nodes that `hops` edges lead to, in either direction. */
export function within(edges: readonly GraphEdge[], node: string, hops: number): Set<string> {
  const out = new Set([node]);
  let edge = new Set([node]);
  for (let hop = 0; hop < hops; hop += 1) {
    const next = new Set<string>();
    for (const { from, to } of edges) {
      if (edge.has(from) && !out.has(to)) next.add(to);
      if (edge.has(to) && !out.has(from)) next.add(from);
    }
    for (const key of next) out.add(key);
    edge = next;
  }
  return out;
}

/** Whose name, namespace or cluster holds the text. Empty text finds nothing. */
export function findNodes(graph: ServiceGraph, text: string): Set<string> {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return new Set();
  return new Set(
    [...graph.nodes.values()]
      .filter((node) => [node.name, node.namespace, node.cluster].some((part) => part.toLowerCase().includes(wanted)))
      .map((node) => node.key),
  );
}
