import { describe, expect, it } from 'vitest';
import { type PathNode, pathTo, pathTree } from './paths';
import { seeded } from './seeded';
import { countDiff, type DiffNode, diffTraces, isChanged } from './tracediff';
import { buildTrace, selfTimes } from './trace';
import { randomTrace, traceOf } from './tracetext';

function tree(wire: ReturnType<typeof traceOf>): PathNode[] {
  const { spans } = buildTrace(wire);
  return pathTree(spans, selfTimes(spans)).nodes;
}
const diff = (a: string, b: string) => diffTraces(tree(traceOf(a)), tree(traceOf(b)));
const told = (nodes: readonly DiffNode[]) =>
  nodes.map((node) => `${' '.repeat(node.depth)}${node.operation} ${node.a.count}/${node.b.count} ${node.state}`);

describe('the paths of a trace', () => {
  it('merge spans of one operation under the same parents, and only those', () => {
    const nodes = tree(
      traceOf(`
      A 0..1000 op=GET
        B 0..100 op=sql
        C 200..400 op=sql error
          D 250..300 op=sql
        E 500..600 op=sql service=other`),
    );
    expect(nodes.map((node) => [pathTo(nodes, nodes.indexOf(node)).join(' > '), node.count, node.errors])).toEqual([
      ['svc GET', 1, 0],
      ['svc GET > svc sql', 2, 1],
      ['svc GET > svc sql > svc sql', 1, 0],
      ['svc GET > other sql', 1, 0],
    ]);
    expect(nodes[1]).toMatchObject({ totalUs: 300, selfUs: 250, valueUs: 300 });
    expect(nodes[0]).toMatchObject({ totalUs: 1000, selfUs: 600, valueUs: 1000 });
  });

  it('are as wide as all below them, also where that is more than their own time', () => {
    const [root] = tree(traceOf('A 0..100\n  B 0..100\n  C 0..100'));
    expect(root).toMatchObject({ totalUs: 100, selfUs: 0, valueUs: 200 });
  });
});

describe('two traces', () => {
  it('differ in what was added and removed, with all below it', () => {
    expect(
      told(
        diff(
          'A 0..1000\n  B 0..100\n    C 10..20\n  D 200..300',
          'A 0..1000\n  D 200..300\n    E 210..220\n  F 400..500',
        ),
      ),
    ).toEqual(['A 1/1 same', ' B 1/0 removed', '  C 1/0 removed', ' D 1/1 same', '  E 0/1 added', ' F 0/1 added']);
  });

  it('differ in how long the same takes, beyond noise', () => {
    expect(
      told(
        diff('A 0..1000\n  B 0..200\n  C 300..400\n  D 500..510', 'A 0..1050\n  B 0..300\n  C 300..340\n  D 500..540'),
      ),
    ).toEqual(['A 1/1 same', ' B 1/1 slower', ' C 1/1 faster', ' D 1/1 same']);
  });

  it('differ in how often the same was called', () => {
    const nodes = diff('A 0..1000\n  B 0..10 op=sql', 'A 0..1000\n  B 0..10 op=sql\n  C 20..30 op=sql');
    expect(nodes.map((node) => [node.state, node.otherCount, isChanged(node)])).toEqual([
      ['same', false, false],
      ['same', true, true],
    ]);
    expect(countDiff(nodes)).toEqual({ added: 0, removed: 0, slower: 0, faster: 0, same: 2, otherCount: 1 });
  });

  it('that both lack the same parent have that in common', () => {
    expect(told(diff('B 0..10 parent=x', 'B 0..10 parent=y'))).toEqual(['missing span 0/0 same', ' B 1/1 same']);
  });

  it('compare to nothing at all', () => {
    expect(countDiff(diff('', 'A 0..10\n  B 1..2'))).toMatchObject({ added: 2, removed: 0 });
    expect(diff('', '')).toEqual([]);
  });

  it('are alike where they are the same, and mirror each other where they are not', () => {
    const random = seeded(5);
    for (let round = 0; round < 200; round += 1) {
      const a = tree(randomTrace(random, Math.floor(random() * 30)));
      const b = tree(randomTrace(random, Math.floor(random() * 30)));
      expect(diffTraces(a, a).every((node) => !isChanged(node))).toBe(true);
      const there = diffTraces(a, b);
      const back = countDiff(diffTraces(b, a));
      const { added, removed, slower, faster, same, otherCount } = countDiff(there);
      expect(back).toEqual({ added: removed, removed: added, slower: faster, faster: slower, same, otherCount });
      // Each node of either is in it once, below its own parent, and no time is lost.
      const paths = new Set(there.map((_, i) => pathTo(there, i).join('>')));
      for (const nodes of [a, b])
        for (const [i] of nodes.entries()) expect(paths).toContain(pathTo(nodes, i).join('>'));
      expect(paths.size).toBe(there.length);
      const roots = (nodes: readonly { parent: number }[]) => nodes.filter((node) => node.parent < 0);
      const sum = (values: number[]) => values.reduce((x, y) => x + y, 0);
      expect(sum(roots(there).map((node) => (node as DiffNode).value))).toBe(
        sum([...roots(a), ...roots(b)].map((node) => (node as PathNode).valueUs)),
      );
      there.forEach((node, i) => expect(node.parent).toBeLessThan(i));
    }
  });
});
