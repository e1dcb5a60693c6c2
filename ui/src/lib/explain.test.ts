import { describe, expect, it } from 'vitest';
import type { ParseNode } from '../api/explain';
import { measuredRows, planRows, unfolded } from './explain';

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

describe('a measured plan', () => {
  const node = (parent: number | null, operator: string, seconds: number, more: object = {}) => ({
    parent,
    operator,
    detail: '',
    steps: 10,
    once: false,
    fused: false,
    reused: 0,
    series: 1,
    bytes: 100,
    seconds,
    read: null,
    ...more,
  });
  const nodes = [
    node(null, 'sum', 0.01, { detail: 'by (job)' }),
    node(0, 'rate', 0.008, { fused: true }),
    node(1, 'selector', 0.002, {
      detail: '{__name__="up", job=~"a.*"} offset 5m',
      read: { id: 0, series: 5, samples: 500, bytes: 8000, seconds: 0.004 },
    }),
    node(0, 'number', 0, { once: true, reused: 2 }),
  ];

  it('is a tree with the time of each part alone', () => {
    const rows = measuredRows(nodes);
    expect(rows.map((row) => [row.id, row.title])).toEqual([
      ['0', 'sum by (job)'],
      ['0.0', 'rate'],
      ['0.0.0', 'up{job=~"a.*"} offset 5m'],
      ['0.1', 'number'],
    ]);
    expect(rows.map((row) => row.cost?.ownSeconds.toFixed(4))).toEqual(['0.0020', '0.0060', '0.0020', '0.0000']);
    expect(rows[1]?.cost?.share).toBeCloseTo(0.8);
    expect(rows[2]?.cost?.read?.samples).toBe(500);
    expect(rows[3]?.cost?.remarks).toEqual(['once for all steps', 'used 3 times']);
  });

  it('shows what was read for a selector that another part worked off, and nothing where there is nothing', () => {
    const idle = { series: 0, bytes: 0 };
    const rows = measuredRows([
      node(null, 'rate', 0.01),
      node(0, 'range', 0, idle),
      node(1, 'selector', 0, { ...idle, read: { id: 0, series: 5, samples: 500, bytes: 8000, seconds: 0.004 } }),
    ]);
    expect(rows.map((row) => [row.cost?.series, row.cost?.bytes])).toEqual([
      [1, 100],
      [null, null],
      [5, 8000],
    ]);
  });

  it('takes no time away below nothing where parts ran side by side', () => {
    const rows = measuredRows([node(null, '+', 0.01), node(0, 'a', 0.01), node(0, 'b', 0.01)]);
    expect(rows[0]?.cost?.ownSeconds).toBe(0);
  });

  it('does not walk in circles', () => {
    expect(measuredRows([node(1, 'a', 1), node(0, 'b', 1), node(2, 'c', 1)])).toHaveLength(2);
    expect(measuredRows([])).toEqual([]);
  });
});
