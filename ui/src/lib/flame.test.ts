import { describe, expect, it } from 'vitest';
import { flameStep, flameTree, layoutFlame } from './flame';
import { seeded } from './seeded';

const NODES = [
  { parent: -1, depth: 0, value: 100 },
  { parent: 0, depth: 1, value: 20 },
  { parent: 0, depth: 1, value: 60 },
  { parent: 2, depth: 2, value: 30 },
];

describe('a flame graph', () => {
  const tree = flameTree(NODES);

  it('gives each box its share, the widest child first', () => {
    expect(layoutFlame(NODES, tree, -1, 0).sort((a, b) => a.node - b.node)).toEqual([
      { node: 0, depth: 0, from: 0, to: 1 },
      { node: 1, depth: 1, from: 0.6, to: 0.8 },
      { node: 2, depth: 1, from: 0, to: 0.6 },
      { node: 3, depth: 2, from: 0, to: 0.3 },
    ]);
  });

  it('leaves out what is too narrow to see', () => {
    expect(layoutFlame(NODES, tree, -1, 0.25).map((box) => box.node)).toEqual([0, 2, 3]);
  });

  it('gives the one in focus the whole width, and those above it', () => {
    expect(layoutFlame(NODES, tree, 2, 0)).toEqual([
      { node: 0, depth: 0, from: 0, to: 1 },
      { node: 2, depth: 1, from: 0, to: 1 },
      { node: 3, depth: 2, from: 0, to: 0.5 },
    ]);
  });

  it('is walked by arrow keys', () => {
    expect(flameStep(NODES, tree, -1, 'ArrowDown')).toBe(0);
    expect(flameStep(NODES, tree, 0, 'ArrowDown')).toBe(2);
    expect(flameStep(NODES, tree, 2, 'ArrowRight')).toBe(1);
    expect(flameStep(NODES, tree, 1, 'ArrowLeft')).toBe(2);
    expect(flameStep(NODES, tree, 1, 'ArrowUp')).toBe(0);
    expect(flameStep(NODES, tree, 0, 'ArrowUp')).toBe(0);
  });

  it('keeps children inside their parents and apart from each other, whatever the tree', () => {
    const random = seeded(6);
    for (let round = 0; round < 100; round += 1) {
      const nodes: { parent: number; depth: number; value: number }[] = [];
      const size = 1 + Math.floor(random() * 60);
      for (let i = 0; i < size; i += 1) {
        const parent = random() < 0.1 ? -1 : Math.floor(random() * i) - (i === 0 ? 1 : 0);
        nodes.push({ parent, depth: (nodes[parent]?.depth ?? -1) + 1, value: Math.floor(random() * 5) });
      }
      for (let i = size - 1; i >= 0; i -= 1) {
        const parent = nodes[nodes[i]?.parent ?? -1];
        if (parent) parent.value += nodes[i]?.value ?? 0;
      }
      const boxes = layoutFlame(nodes, flameTree(nodes), -1, 0);
      expect(new Set(boxes.map((box) => box.node)).size).toBe(boxes.length);
      const at = new Map(boxes.map((box) => [box.node, box]));
      const whole = flameTree(nodes).whole;
      for (const box of boxes) {
        const node = nodes[box.node];
        const parent = at.get(node?.parent ?? -1);
        if (whole > 0) expect(box.to - box.from).toBeCloseTo((node?.value ?? 0) / whole, 9);
        if (!parent) continue;
        expect(box.from).toBeGreaterThanOrEqual(parent.from - 1e-9);
        expect(box.to).toBeLessThanOrEqual(parent.to + 1e-9);
      }
    }
  });
});
