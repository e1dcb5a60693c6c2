/**
 * Two traces compared by their shape: spans merged by the way that leads to them (`paths.ts`), side by side. What only one
 * of them has was added or removed; what both have may have become slower or faster, by the mean of its spans.
 */
import { pathKey, type PathNode } from './paths';

export type DiffState = 'added' | 'removed' | 'slower' | 'faster' | 'same';

export interface Side {
  count: number;
  errors: number;
  totalUs: number;
  meanUs: number;
  selfUs: number;
  /** Index of the span that took longest, -1 where there is none. */
  slowest: number;
}

export interface DiffNode {
  service: string;
  operation: string;
  missing: boolean;
  /** Index of the node above, -1 for none; it always comes before. */
  parent: number;
  depth: number;
  a: Side;
  b: Side;
  state: DiffState;
  /** Mean of B less mean of A, in microseconds; 0 where either has none. */
  changeUs: number;
  /** Both have it, and not as often. */
  otherCount: boolean;
  /** Time in it and below it, of both together: what adds up. */
  value: number;
}

/** A change of the mean below this share of the longer is noise between two requests. */
export const LEAST_SHARE = 0.1;
/** And so is one below this, whatever its share: what two clocks and a scheduler make of nothing. */
export const LEAST_US = 50;

/** In the order they are read: each node before its children, siblings as A has them, then as B has them. */
export function diffTraces(a: readonly PathNode[], b: readonly PathNode[]): DiffNode[] {
  const merged: DiffNode[] = [];
  const at = new Map<string, number>();
  for (const [side, nodes] of [['a', a] as const, ['b', b] as const]) {
    const placeOf = new Int32Array(nodes.length);
    for (const [i, node] of nodes.entries()) {
      const parent = node.parent < 0 ? -1 : (placeOf[node.parent] ?? -1);
      const key = pathKey(parent, node);
      let place = at.get(key);
      if (place === undefined) {
        place = merged.push(emptyNode(node, parent)) - 1;
        at.set(key, place);
      }
      placeOf[i] = place;
      const one = merged[place] as DiffNode;
      one[side] = sideOf(node);
      one.value += node.valueUs;
    }
  }
  for (const node of merged) judge(node);
  return inOrder(merged);
}

const NOTHING: Side = { count: 0, errors: 0, totalUs: 0, meanUs: 0, selfUs: 0, slowest: -1 };

function emptyNode({ service, operation, missing, depth }: PathNode, parent: number): DiffNode {
  const verdict = { state: 'same' as const, changeUs: 0, otherCount: false };
  return { service, operation, missing, depth, parent, a: NOTHING, b: NOTHING, value: 0, ...verdict };
}

function sideOf({ count, errors, totalUs, selfUs, slowest }: PathNode): Side {
  return { count, errors, totalUs, selfUs, slowest, meanUs: count > 0 ? totalUs / count : 0 };
}

function judge(node: DiffNode): void {
  const { a, b } = node;
  // One that is missing may be in both, and is counted in neither.
  const [inA, inB] = [a.slowest >= 0, b.slowest >= 0];
  if (!inA || !inB) {
    node.state = inA ? 'removed' : 'added';
    return;
  }
  node.otherCount = a.count !== b.count;
  node.changeUs = b.meanUs - a.meanUs;
  const least = Math.max(LEAST_US, LEAST_SHARE * Math.max(a.meanUs, b.meanUs));
  if (Math.abs(node.changeUs) > least) node.state = node.changeUs > 0 ? 'slower' : 'faster';
}

/** Nodes came as they were first met; readers want each below its own parent. */
function inOrder(merged: readonly DiffNode[]): DiffNode[] {
  const children = new Map<number, number[]>();
  for (const [i, node] of merged.entries()) {
    const list = children.get(node.parent);
    if (list) list.push(i);
    else children.set(node.parent, [i]);
  }
  const out: DiffNode[] = [];
  const placed = new Int32Array(merged.length);
  const stack = [...(children.get(-1) ?? [])].reverse();
  for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
    const node = merged[i] as DiffNode;
    placed[i] = out.push({ ...node, parent: node.parent < 0 ? -1 : (placed[node.parent] ?? -1) }) - 1;
    const below = children.get(i) ?? [];
    for (let k = below.length - 1; k >= 0; k -= 1) stack.push(below[k] as number);
  }
  return out;
}

export type DiffCounts = Record<DiffState | 'otherCount', number>;

export function countDiff(nodes: readonly DiffNode[]): DiffCounts {
  const out: DiffCounts = { added: 0, removed: 0, slower: 0, faster: 0, same: 0, otherCount: 0 };
  for (const node of nodes) {
    out[node.state] += 1;
    if (node.otherCount) out.otherCount += 1;
  }
  return out;
}

export function isChanged(node: DiffNode): boolean {
  return node.state !== 'same' || node.otherCount;
}
