import { describe, expect, it } from 'vitest';
import type { ParseNode } from '../api/explain';
import { planRows, unfolded } from './explain';

/** As a node answered for `sum by (job) (rate(up{a="b"}[5m] offset 1m)) / on (job) group_left (team) 2`. */
const TREE: ParseNode = {
  type: 'binaryExpr',
  op: '/',
  bool: false,
  matching: { card: 'many-to-one', labels: ['job'], on: true, include: ['team'] },
  lhs: {
    type: 'aggregation',
    op: 'sum',
    grouping: ['job'],
    without: false,
    param: null,
    expr: {
      type: 'call',
      func: { name: 'rate' },
      args: [
        {
          type: 'matrixSelector',
          name: 'up',
          matchers: [
            { name: '__name__', value: 'up', type: '=' },
            { name: 'a', value: 'b', type: '=' },
          ],
          range: 300000,
          offset: 60000,
          timestamp: null,
          startOrEnd: null,
        },
      ],
    },
  },
  rhs: { type: 'numberLiteral', val: '2' },
};

describe('a query tree', () => {
  const rows = planRows(TREE);

  it('reads from the outermost part inwards', () => {
    expect(rows.map((row) => [row.id, row.depth, row.kind, row.title])).toEqual([
      ['0', 0, 'operator', '/ on (job) group_left (team)'],
      ['0.0', 1, 'aggregation', 'sum by (job)'],
      ['0.0.0', 2, 'function', 'rate()'],
      ['0.0.0.0', 3, 'range selector', 'up{a="b"}[5m] offset 1m'],
      ['0.1', 1, 'number', '2'],
    ]);
  });

  it('folds below a part', () => {
    expect(unfolded(rows, new Set(['0.0'])).map((row) => row.id)).toEqual(['0', '0.0', '0.1']);
    expect(unfolded(rows, new Set())).toHaveLength(5);
  });

  it('survives what it does not know', () => {
    const odd = {
      type: 'somethingNew',
      expr: { type: 'vectorSelector', name: '', matchers: 5 },
    } as unknown as ParseNode;
    expect(planRows(odd).map((row) => row.title)).toEqual(['somethingNew', '{}']);
  });

  it('does not follow a tree without end', () => {
    let deep: ParseNode = { type: 'numberLiteral', val: '1' };
    for (let i = 0; i < 5000; i += 1) deep = { type: 'parenExpr', expr: deep };
    expect(planRows(deep).length).toBeLessThan(300);
  });
});
