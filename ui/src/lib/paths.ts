/**
 * Spans merged by the way that leads to them: those of the same service and operation under the same parents are one node.
 * A flame graph is drawn of it, and two traces are compared by it.
 */
import type { Span } from './trace';

export interface PathNode {
  service: string;
  operation: string;
  /** Index of the node above, -1 for none; it always comes before. */
  parent: number;
  depth: number;
  missing: boolean;
  count: number;
  errors: number;
  totalUs: number;
  selfUs: number;
  /** Time spent in these spans themselves and in all below them: what adds up, where work ran at the same time. */
  valueUs: number;
  /** Index of the span that took longest. */
  slowest: number;
}

export interface PathTree {
  nodes: PathNode[];
  /** The node of each span. */
  nodeOf: Int32Array;
}

export function pathTree(spans: readonly Span[], self: ArrayLike<number>): PathTree {
  const nodes: PathNode[] = [];
  const at = new Map<string, number>();
  const nodeOf = new Int32Array(spans.length);
  for (const [i, span] of spans.entries()) {
    const parent = span.parent < 0 ? -1 : (nodeOf[span.parent] ?? -1);
    const key = pathKey(parent, span);
    let place = at.get(key);
    if (place === undefined) {
      place = nodes.push(emptyNode(span, parent, (nodes[parent]?.depth ?? -1) + 1, i)) - 1;
      at.set(key, place);
    }
    nodeOf[i] = place;
    const node = nodes[place] as PathNode;
    if (!span.missing) node.count += 1;
    if (span.error) node.errors += 1;
    node.totalUs += span.missing ? 0 : span.durationUs;
    node.selfUs += self[i] ?? 0;
    if (span.durationUs > (spans[node.slowest]?.durationUs ?? 0)) node.slowest = i;
  }
  addUp(nodes);
  return { nodes, nodeOf };
}

/** What tells the nodes below one apart. */
export function pathKey(parent: number, one: Pick<PathNode, 'service' | 'operation'>): string {
  return `${parent}\u0000${one.service}\u0000${one.operation}`;
}

function emptyNode(span: Span, parent: number, depth: number, slowest: number): PathNode {
  const { service, operation, missing } = span;
  const zero = { count: 0, errors: 0, totalUs: 0, selfUs: 0, valueUs: 0 };
  return { service, operation, parent, depth, missing, slowest, ...zero };
}

function addUp(nodes: PathNode[]): void {
  for (let i = nodes.length - 1; i >= 0; i -= 1) {
    const node = nodes[i] as PathNode;
    node.valueUs += node.selfUs;
    const parent = nodes[node.parent];
    if (parent) parent.valueUs += node.valueUs;
  }
}

/** The names from the root to a node. */
export function pathTo(nodes: readonly Pick<PathNode, 'parent' | 'service' | 'operation'>[], index: number): string[] {
  const out: string[] = [];
  for (let i = index; i >= 0; i = nodes[i]?.parent ?? -1) {
    const node = nodes[i];
    if (node) out.push(node.service ? `${node.service} ${node.operation}` : node.operation);
  }
  return out.reverse();
}
