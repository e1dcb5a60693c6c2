import { expect, it } from 'vitest';
import { layoutGraph, middleOf, nextInDirection, pathOf } from './graphlayout';

const size = { width: 170, height: 44 };

it('nodes do not overlap and calls go from left to right', () => {
  const keys = Array.from({ length: 40 }, (_, i) => `n${i}`);
  const edges = keys.slice(1).map((to, i) => ({ from: `n${Math.floor(i / 3)}`, to, label: false }));
  const laid = layoutGraph({ nodes: keys.map((key) => ({ key, ...size })), edges });
  laid.nodes.forEach((a, i) =>
    laid.nodes.slice(i + 1).forEach((b) => {
      expect(Math.abs(a.x - b.x) >= size.width || Math.abs(a.y - b.y) >= size.height).toBe(true);
    }),
  );
  edges.forEach(({ from, to }) => {
    expect(laid.nodes[keys.indexOf(from)]?.x ?? 0).toBeLessThan(laid.nodes[keys.indexOf(to)]?.x ?? 0);
  });
  expect(laid.edges.every((points) => points.length >= 2)).toBe(true);
  expect(laid.width).toBeGreaterThan(size.width);
});

it('circles, edges to oneself, two edges between the same nodes and nothing at all are laid out', () => {
  const nodes = ['a', 'b', 'c'].map((key) => ({ key, ...size }));
  const edges = [['a', 'b'], ['b', 'c'], ['c', 'a'], ['a', 'a'], ['a', 'b']].map(([from = '', to = '']) => ({ from, to, label: true })); // prettier-ignore
  const laid = layoutGraph({ nodes, edges });
  expect(laid.edges.map((points) => points.length > 0)).toEqual([true, true, true, false, true]);
  expect(layoutGraph({ nodes: [], edges: [] }).nodes).toEqual([]);
});

it('a way has a path and a middle', () => {
  const points = [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 10 }]; // prettier-ignore
  expect(pathOf(points)).toBe('M0 0Q10 0 10 5L10 10');
  expect(middleOf(points)).toEqual({ x: 10, y: 0 });
  expect(pathOf([])).toBe('');
});

it('arrow keys lead to the nearest node on that side', () => {
  const places = [{ x: 0, y: 0 }, { x: 100, y: 5 }, { x: 90, y: 300 }, { x: 0, y: 50 }]; // prettier-ignore
  expect(nextInDirection(places, 0, 1, 0)).toBe(1);
  expect(nextInDirection(places, 0, 0, 1)).toBe(3);
  expect(nextInDirection(places, 0, -1, 0)).toBe(-1);
});
