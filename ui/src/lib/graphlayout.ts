/** Places for nodes and ways for edges (dagre). It takes up to a second for hundreds of nodes: pages run it in a worker. */
import { Graph, layout } from '@dagrejs/dagre';

export interface LayoutRequest {
  nodes: { key: string; width: number; height: number }[];
  edges: { from: string; to: string; label: boolean }[];
}

export interface Point {
  x: number;
  y: number;
}

export interface Laid {
  width: number;
  height: number;
  /** Centres, in the order of the request. */
  nodes: Point[];
  /** From end to end, in the order of the request; empty for an edge that leads back to its own node. */
  edges: Point[][];
}

/** Past this the best ranking costs more than it gives. */
const FEW = 80;
const MARGIN = 16;

export function layoutGraph({ nodes, edges }: LayoutRequest): Laid {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({
    rankdir: 'LR',
    nodesep: 14,
    // Labels need room between the columns.
    ranksep: edges.some((edge) => edge.label) ? 104 : 64,
    edgesep: 8,
    marginx: MARGIN,
    marginy: MARGIN,
    ranker: nodes.length > FEW ? 'tight-tree' : 'network-simplex',
  });
  for (const { key, width, height } of nodes) graph.setNode(key, { width, height });
  edges.forEach(({ from, to, label }, i) => {
    if (from !== to) graph.setEdge(from, to, label ? { width: 96, height: 14, labelpos: 'c' } : {}, String(i));
  });
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return {
    width: Math.max(width, 1),
    height: Math.max(height, 1),
    nodes: nodes.map(({ key }) => {
      const { x = 0, y = 0 } = graph.node(key) as Partial<Point>;
      return { x, y };
    }),
    edges: edges.map(({ from, to }, i) =>
      from === to ? [] : ((graph.edge(from, to, String(i)) as { points?: Point[] } | undefined)?.points ?? []),
    ),
  };
}

/** A smooth way through the points, as SVG has it. */
export function pathOf(points: readonly Point[]): string {
  const [start, ...rest] = points;
  if (!start) return '';
  let out = `M${round(start.x)} ${round(start.y)}`;
  rest.forEach((point, i) => {
    const next = rest[i + 1];
    if (!next) out += `L${round(point.x)} ${round(point.y)}`;
    // Through the middle between two bends, each of which pulls at it.
    else
      out += `Q${round(point.x)} ${round(point.y)} ${round((point.x + next.x) / 2)} ${round((point.y + next.y) / 2)}`;
  });
  return out;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Half way along the points. */
export function middleOf(points: readonly Point[]): Point {
  const [start] = points;
  if (!start) return { x: 0, y: 0 };
  const lengths = points
    .slice(1)
    .map((point, i) => Math.hypot(point.x - (points[i]?.x ?? 0), point.y - (points[i]?.y ?? 0)));
  let left = lengths.reduce((sum, one) => sum + one, 0) / 2;
  for (let i = 0; i < lengths.length; i += 1) {
    const long = lengths[i] ?? 0;
    const [a, b] = [points[i] ?? start, points[i + 1] ?? start];
    if (left <= long && long > 0) return { x: a.x + ((b.x - a.x) * left) / long, y: a.y + ((b.y - a.y) * left) / long };
    left -= long;
  }
  return points[points.length - 1] ?? start;
}

/** The node that lies next in a direction, by its place in the list; -1 where none does. */
export function nextInDirection(places: readonly Point[], from: number, dx: number, dy: number): number {
  const at = places[from];
  if (!at) return places.length > 0 ? 0 : -1;
  let best = -1;
  let least = Infinity;
  places.forEach((place, i) => {
    const along = (place.x - at.x) * dx + (place.y - at.y) * dy;
    const across = Math.abs((place.x - at.x) * dy) + Math.abs((place.y - at.y) * dx);
    if (i === from || along <= 0) return;
    const cost = along + 2 * across;
    if (cost < least) [best, least] = [i, cost];
  });
  return best;
}
