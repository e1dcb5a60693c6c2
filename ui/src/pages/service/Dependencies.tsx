/** Who calls a service and whom it calls, wherever it runs, with rate, errors and p95 of each edge. */
import { Link } from '@tanstack/react-router';
import { errorShare, type GraphEdge, type GraphNode, type ServiceGraph, TYPE_WORDS } from '../../lib/servicegraph';
import { formatDurationUs } from '../../lib/timeformat';
import { formatCount, formatShare, formatValue } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';

interface Props {
  name: string;
  /** Null while it is asked for. */
  graph: ServiceGraph | null;
}

export function Dependencies({ name, graph }: Props) {
  const own = new Set([...(graph?.nodes.values() ?? [])].filter((node) => node.name === name).map((node) => node.key));
  const edges = graph?.edges ?? [];
  return (
    <>
      <Side
        title="Called by"
        graph={graph}
        edges={edges.filter((edge) => own.has(edge.to))}
        other={(edge) => edge.from}
      />
      <Side title="Calls" graph={graph} edges={edges.filter((edge) => own.has(edge.from))} other={(edge) => edge.to} />
    </>
  );
}

interface SideProps {
  title: string;
  graph: ServiceGraph | null;
  edges: readonly GraphEdge[];
  other: (edge: GraphEdge) => string;
}

/** Rows before the rest is counted; the map's table has all. */
const SHOWN = 100;

function Side({ title, graph, edges, other }: SideProps) {
  return (
    <section className="panel dependencies" aria-label={title}>
      <h2>
        {title} <span className="faint">{graph ? formatCount(edges.length) : ''}</span>
      </h2>
      <div className="dependencyList" tabIndex={0} role="region" aria-label={`${title}, list`}>
        {graph && edges.length === 0 ? <p className="faint">nobody in this range</p> : null}
        <ul>
          {edges.slice(0, SHOWN).map((edge) => {
            const node = graph?.nodes.get(other(edge));
            const share = errorShare(edge);
            return (
              <li key={`${other(edge)} ${edge.type}`}>
                <NodeName node={node} />
                {edge.type ? <span className="tag">{TYPE_WORDS[edge.type] ?? edge.type}</span> : null}
                <span className="grow" />
                {share > 0 ? <span className="num bad">✖ {formatShare(share)}</span> : null}
                <span className="num soft">{formatValue(edge.rate, 'ps')}</span>
                <span className="num soft dependencyP95">
                  {edge.p95 === null ? '' : formatDurationUs(edge.p95 * 1e6)}
                </span>
              </li>
            );
          })}
        </ul>
        {edges.length > SHOWN ? <p className="soft">and {formatCount(edges.length - SHOWN)} more</p> : null}
      </div>
    </section>
  );
}

function NodeName({ node }: { node: GraphNode | undefined }) {
  if (!node) return null;
  const place = [node.namespace, node.cluster].filter(Boolean).join(' · ');
  if (node.kind !== 'service') {
    return (
      <span className="clip" title={place}>
        {node.name}
      </span>
    );
  }
  return (
    <Link
      to="/services/$name"
      params={{ name: node.name }}
      search={(before: CommonSearch) => pickCommon(before)}
      className="clip cellLink"
      title={place}
    >
      {node.name}
    </Link>
  );
}
