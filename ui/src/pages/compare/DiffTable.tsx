/** The table twin of the comparison: a row per path. */
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { pathTo } from '../../lib/paths';
import { formatDurationUs } from '../../lib/timeformat';
import type { DiffNode } from '../../lib/tracediff';
import { formatCount } from '../../lib/units';
import { CsvButton } from '../../parts/CsvButton';
import { VirtualTable } from '../../parts/VirtualTable';
import type { CommonSearch } from '../../state/search';
import { pickCommon, usePatch } from '../../state/view';
import { changeText, lookOf, LOOKS, nodeName, percentText } from './diffLook';
import type { TraceSide } from './useTraceSide';

interface Props {
  nodes: readonly DiffNode[];
  /** Indexes of those to list. */
  rows: readonly number[];
  sides: readonly [TraceSide, TraceSide];
}

type Sort = 'change' | 'a' | 'b' | 'count';

const VALUES: Readonly<Record<Sort, (node: DiffNode) => number>> = {
  change: (node) => Math.abs(node.state === 'added' ? node.b.totalUs : node.state === 'removed' ? node.a.totalUs : node.changeUs), // prettier-ignore
  a: (node) => node.a.meanUs,
  b: (node) => node.b.meanUs,
  count: (node) => Math.abs(node.b.count - node.a.count),
};

export function DiffTable({ nodes, rows, sides }: Props) {
  const search = useSearch({ from: '/traces/compare' });
  const patch = usePatch();
  const by = (Object.keys(VALUES) as Sort[]).find((one) => one === search.sort);
  const sorted = useMemo(() => {
    if (!by) return rows;
    const value = (i: number) => VALUES[by](nodes[i] as DiffNode);
    return [...rows].sort((a, b) => value(b) - value(a) || a - b);
  }, [rows, by, nodes]);
  const inTree = !by && rows.length === nodes.length;
  const order = (key: Sort) => ({
    onSort: () => patch({ sort: by === key ? undefined : key }, 'replace'),
    sort: by === key ? ('descending' as const) : undefined,
  });
  const right = 'right' as const;
  const columns = [
    { key: 'path', title: 'Path', width: 'minmax(240px, 3fr)' },
    { key: 'state', title: 'State', width: '150px' },
    { key: 'countA', title: 'Spans A', width: '80px', align: right },
    { key: 'countB', title: 'Spans B', width: '80px', align: right, ...order('count') },
    { key: 'meanA', title: 'Mean A', width: '90px', align: right, ...order('a') },
    { key: 'meanB', title: 'Mean B', width: '90px', align: right, ...order('b') },
    { key: 'change', title: 'Change', width: '90px', align: right, ...order('change') },
    { key: 'percent', title: 'Percent', width: '80px', align: right },
  ];
  const csv = () => ({
    header: ['path', 'state', 'count_a', 'count_b', 'mean_a_us', 'mean_b_us', 'change_us', 'errors_a', 'errors_b'],
    rows: sorted.map((i) => {
      const { a, b, state, changeUs } = nodes[i] as DiffNode;
      const path = pathTo(nodes, i).join(' > ');
      return [path, state, a.count, b.count, a.meanUs, b.meanUs, changeUs, a.errors, b.errors];
    }),
  });
  return (
    <>
      <VirtualTable
        label="Paths of both traces"
        columns={columns}
        count={sorted.length}
        height="fill"
        cell={(row, column) => {
          const index = sorted[row] ?? -1;
          const node = nodes[index];
          if (!node) return '';
          switch (columns[column]?.key) {
            case 'path':
              return <Path nodes={nodes} index={index} inTree={inTree} />;
            case 'state':
              return <State node={node} />;
            case 'countA':
              return formatCount(node.a.count);
            case 'countB':
              return node.otherCount ? <strong>{formatCount(node.b.count)}</strong> : formatCount(node.b.count);
            case 'meanA':
              return <Mean side={sides[0]} mean={node.a} />;
            case 'meanB':
              return <Mean side={sides[1]} mean={node.b} />;
            case 'change':
              return changeText(node);
            default:
              return percentText(node);
          }
        }}
      />
      <div className="row tableFoot">
        <CsvButton name="traces compared" make={csv} />
      </div>
    </>
  );
}

function Path({ nodes, index, inTree }: { nodes: readonly DiffNode[]; index: number; inTree: boolean }) {
  const node = nodes[index] as DiffNode;
  const whole = pathTo(nodes, index).join(' › ');
  return (
    <span style={{ paddingLeft: inTree ? Math.min(node.depth, 16) * 12 : 0 }} title={whole}>
      {inTree || !node.service ? nodeName(node) : whole}
    </span>
  );
}

function State({ node }: { node: DiffNode }) {
  const { sign, colour } = lookOf(node);
  const { word } = LOOKS[node.state];
  return (
    <>
      <span className="diffSign" style={{ color: colour }} aria-hidden="true">
        {sign}
      </span>{' '}
      {word}
      {node.otherCount ? <span className="faint">, other count</span> : null}
    </>
  );
}

/** Leads to the slowest of them. */
function Mean({ side, mean }: { side: TraceSide; mean: DiffNode['a'] }) {
  const span = side.trace?.spans[mean.slowest];
  if (mean.count === 0 || !span || !side.trace) return '–';
  return (
    <Link
      to="/trace/$id"
      params={{ id: side.trace.id }}
      search={(before: CommonSearch) => ({ ...pickCommon(before), span: span.id })}
      className="cellLink"
      title="The slowest of them in its trace"
    >
      {formatDurationUs(mean.meanUs)}
    </Link>
  );
}
