/** Where the boxes of a flame graph stand: a row per level, each box as wide as its share, its children below it. */

export interface FlameNode {
  /** Index of the node above, -1 for none; it always comes before. */
  parent: number;
  depth: number;
  /** Its width; never less than that of its children together. */
  value: number;
}

export interface Box {
  node: number;
  depth: number;
  /** Shares of the whole width. */
  from: number;
  to: number;
}

export interface FlameTree {
  /** Children of each node, the widest first; those of -1, the roots, stand under -1. */
  children: ReadonlyMap<number, readonly number[]>;
  whole: number;
  levels: number;
}

export function flameTree(nodes: readonly FlameNode[]): FlameTree {
  const children = new Map<number, number[]>();
  let whole = 0;
  let levels = 0;
  for (const [i, node] of nodes.entries()) {
    const list = children.get(node.parent);
    if (list) list.push(i);
    else children.set(node.parent, [i]);
    if (node.parent < 0) whole += node.value;
    levels = Math.max(levels, node.depth + 1);
  }
  for (const list of children.values()) list.sort((a, b) => (nodes[b]?.value ?? 0) - (nodes[a]?.value ?? 0) || a - b);
  return { children, whole, levels };
}

/**
 * The boxes to draw, by row. With a `focus` (else -1) it takes the whole width, and so do those above it. Boxes narrower
 * than `least` are left out with all below them, so that a hundred thousand nodes cost what fits a screen.
 */
export function layoutFlame(nodes: readonly FlameNode[], tree: FlameTree, focus: number, least: number): Box[] {
  const out: Box[] = [];
  for (let i = nodes[focus]?.parent ?? -1; i >= 0; i = nodes[i]?.parent ?? -1)
    out.push({ node: i, depth: nodes[i]?.depth ?? 0, from: 0, to: 1 });
  out.reverse();
  const stack: Box[] = [];
  const place = (list: readonly number[], from: number, perUnit: number) => {
    let at = from;
    for (const node of list) {
      const to = at + (nodes[node]?.value ?? 0) * perUnit;
      if (to - at >= least) stack.push({ node, depth: nodes[node]?.depth ?? 0, from: at, to });
      at = to;
    }
  };
  const value = focus < 0 ? tree.whole : (nodes[focus]?.value ?? 0);
  const perUnit = value > 0 ? 1 / value : 0;
  if (focus >= 0) stack.push({ node: focus, depth: nodes[focus]?.depth ?? 0, from: 0, to: 1 });
  else place(tree.children.get(-1) ?? [], 0, perUnit);
  for (let box = stack.pop(); box; box = stack.pop()) {
    out.push(box);
    place(tree.children.get(box.node) ?? [], box.from, perUnit);
  }
  return out;
}

/** The node that an arrow key leads to: up to its parent, down to its widest child, to either side among siblings. */
export function flameStep(nodes: readonly FlameNode[], tree: FlameTree, at: number, key: string): number {
  const node = nodes[at];
  const roots = tree.children.get(-1) ?? [];
  if (!node) return roots[0] ?? -1;
  const siblings = tree.children.get(node.parent) ?? [];
  const place = siblings.indexOf(at);
  switch (key) {
    case 'ArrowUp':
      return node.parent >= 0 ? node.parent : at;
    case 'ArrowDown':
      return tree.children.get(at)?.[0] ?? at;
    case 'ArrowLeft':
      return siblings[place - 1] ?? at;
    case 'ArrowRight':
      return siblings[place + 1] ?? at;
    default:
      return at;
  }
}
