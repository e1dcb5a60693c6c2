/** The map as tables: every edge, and every node, with the same numbers. */
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import {
  errorShare,
  type GraphEdge,
  type GraphNode,
  KIND_WORDS,
  type ServiceGraph,
  TYPE_WORDS,
} from '../../lib/servicegraph';
import type { Cell } from '../../lib/sorting';
import { formatDurationUs } from '../../lib/timeformat';
import { formatCount, formatShare, formatValue } from '../../lib/units';
import { type Head, SortedTable } from '../../parts/SortedTable';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';

interface Props {
  graph: ServiceGraph;
  found: ReadonlySet<string>;
  onNode: (key: string | undefined) => void;
}

const EDGE_HEADS: readonly Head[] = [
  { key: 'client', title: 'Client', width: 'minmax(90px, 1fr)' },
  { key: 'server', title: 'Server', width: 'minmax(90px, 1fr)' },
  { key: 'type', title: 'Type', width: '90px' },
  { key: 'rate', title: 'Rate', width: '74px', isNumber: true },
  { key: 'errors', title: 'Errors', width: '78px', isNumber: true },
  { key: 'p95', title: 'p95', width: '66px', isNumber: true },
];
const NODE_HEADS: readonly Head[] = [
  { key: 'name', title: 'Service', width: 'minmax(100px, 1.4fr)' },
  { key: 'kind', title: 'Kind', width: '92px' },
  { key: 'namespace', title: 'Namespace', width: 'minmax(70px, 1fr)' },
  { key: 'cluster', title: 'Cluster', width: 'minmax(60px, 1fr)' },
  { key: 'rate', title: 'Rate', width: '74px', isNumber: true },
  { key: 'errors', title: 'Errors', width: '78px', isNumber: true },
  { key: 'p95', title: 'p95', width: '66px', isNumber: true },
  { key: 'in', title: 'Callers', width: '62px', isNumber: true },
  { key: 'out', title: 'Calls', width: '52px', isNumber: true },
];
const USUAL = '-rate';

export function Tables({ graph, found, onNode }: Props) {
  const search = useSearch({ from: '/topology' });
  const nameOf = (key: string) => graph.nodes.get(key)?.name ?? key;
  const edges = graph.edges.filter((edge) => found.size === 0 || found.has(edge.from) || found.has(edge.to));
  const nodes = [...graph.nodes.values()].filter((node) => found.size === 0 || found.has(node.key));
  const degrees = useMemo(() => degreesOf(graph), [graph]);
  const edgeCell = (edge: GraphEdge, key: string): Cell => {
    if (key === 'client') return nameOf(edge.from);
    if (key === 'server') return nameOf(edge.to);
    if (key === 'type') return TYPE_WORDS[edge.type] ?? edge.type;
    return key === 'rate' ? edge.rate : key === 'errors' ? errorShare(edge) : edge.p95;
  };
  const nodeCell = (node: GraphNode, key: string): Cell => {
    if (key === 'name' || key === 'namespace' || key === 'cluster') return node[key];
    if (key === 'kind') return node.kind === 'group' ? `${node.members} services` : KIND_WORDS[node.kind];
    if (key === 'in' || key === 'out') return degrees.get(node.key)?.[key] ?? 0;
    return key === 'rate' ? node.rate : key === 'errors' ? errorShare(node) : node.p95;
  };
  return (
    <div className="topologyTables">
      <section className="panel topologyTable" aria-label="Edges">
        <SortedTable
          label="Edges"
          file="service-map-edges"
          heads={EDGE_HEADS}
          rows={edges}
          sort={search.sort}
          usual={USUAL}
          height="fill"
          leastPx={540}
          note={<span className="soft">{formatCount(edges.length)}</span>}
          of={edgeCell}
          keyOf={(edge) => `${edge.from} ${edge.to} ${edge.type}`}
          show={(edge, key) => {
            const text = cellText(edgeCell(edge, key), key);
            if (key !== 'client' && key !== 'server') return text;
            const end = key === 'client' ? edge.from : edge.to;
            return (
              <button type="button" className="linkish clip" onClick={() => onNode(end)} title={end}>
                {text}
              </button>
            );
          }}
        />
      </section>
      <section className="panel topologyTable" aria-label="Services">
        <SortedTable
          label="Services"
          file="service-map-services"
          heads={NODE_HEADS}
          rows={nodes}
          sort={search.sort}
          usual={USUAL}
          height="fill"
          note={<span className="soft">{formatCount(nodes.length)}</span>}
          of={nodeCell}
          keyOf={(node) => node.key}
          show={(node, key) => {
            const text = cellText(nodeCell(node, key), key);
            return key === 'name' && node.kind === 'service' ? (
              <Link
                to="/services/$name"
                params={{ name: node.name }}
                search={(before: CommonSearch) => pickCommon(before)}
                className="clip cellLink"
              >
                {text}
              </Link>
            ) : (
              text
            );
          }}
        />
      </section>
    </div>
  );
}

function degreesOf(graph: ServiceGraph): Map<string, { in: number; out: number }> {
  const out = new Map([...graph.nodes.keys()].map((key) => [key, { in: 0, out: 0 }]));
  for (const edge of graph.edges) {
    const [from, to] = [out.get(edge.from), out.get(edge.to)];
    if (from) from.out += 1;
    if (to) to.in += 1;
  }
  return out;
}

function cellText(cell: Cell, key: string): string {
  if (cell === null) return '–';
  if (typeof cell === 'string') return cell || '–';
  if (key === 'rate') return formatValue(cell, 'ps');
  if (key === 'errors') return cell > 0 ? `✖ ${formatShare(cell)}` : '0 %';
  return key === 'p95' ? formatDurationUs(cell * 1e6) : formatCount(cell);
}
