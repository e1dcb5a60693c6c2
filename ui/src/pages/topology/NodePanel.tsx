/** One node looked at: its numbers, who calls it and whom it calls, and where to go on. */
import { Link } from '@tanstack/react-router';
import {
  errorShare,
  type GraphEdge,
  type GraphNode,
  KIND_WORDS,
  type ServiceGraph,
  TYPE_WORDS,
} from '../../lib/servicegraph';
import { formatDurationUs } from '../../lib/timeformat';
import { formatShare, formatValue } from '../../lib/units';
import { quoteTrace } from '../../lib/traceql';
import { CloseIcon } from '../../shell/icons';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';

interface Props {
  graph: ServiceGraph;
  node: string;
  onNode: (key: string | undefined) => void;
  onFold: (key: string) => void;
}

export function NodePanel({ graph, node: key, onNode, onFold }: Props) {
  const node = graph.nodes.get(key);
  if (!node) return null;
  const callers = graph.edges.filter((edge) => edge.to === key);
  const called = graph.edges.filter((edge) => edge.from === key);
  return (
    <aside className="panel nodePanel" aria-label="Node">
      <div className="row nodePanelHead">
        <h2 className="clip grow">{node.name}</h2>
        <button type="button" className="btn quiet" aria-label="Close the node" onClick={() => onNode(undefined)}>
          <CloseIcon />
        </button>
      </div>
      <p className="soft">
        {[node.kind === 'group' ? `${node.members} services` : KIND_WORDS[node.kind], node.namespace, node.cluster]
          .filter(Boolean)
          .join(' · ')}
      </p>
      <dl className="nodeNumbers">
        <div>
          <dt>Rate</dt>
          <dd className="num">{formatValue(node.rate, 'ps')}</dd>
        </div>
        <div>
          <dt>Errors</dt>
          <dd className={node.failed > 0 ? 'num bad' : 'num'}>{formatShare(errorShare(node))}</dd>
        </div>
        <div>
          <dt>{node.kind === 'group' ? 'Slowest p95' : 'p95'}</dt>
          <dd className="num">{node.p95 === null ? '–' : formatDurationUs(node.p95 * 1e6)}</dd>
        </div>
      </dl>
      <Actions node={node} onFold={onFold} />
      <Neighbours title="Called by" edges={callers} end="from" graph={graph} onNode={onNode} />
      <Neighbours title="Calls" edges={called} end="to" graph={graph} onNode={onNode} />
    </aside>
  );
}

function Actions({ node, onFold }: { node: GraphNode; onFold: (key: string) => void }) {
  const common = (before: CommonSearch) => pickCommon(before);
  if (node.kind === 'group') {
    return (
      <div className="row">
        <button type="button" className="btn primary" onClick={() => onFold(node.key)}>
          Open the group
        </button>
      </div>
    );
  }
  if (node.kind !== 'service') return null;
  const query = `{ resource.service.name = ${quoteTrace(node.name)} }`;
  return (
    <div className="row nodeActions">
      <Link to="/services/$name" params={{ name: node.name }} search={common} className="btn primary">
        Service page
      </Link>
      <Link to="/traces" search={(before: CommonSearch) => ({ ...pickCommon(before), q: query })} className="btn">
        Traces
      </Link>
      {node.namespace !== '' ? (
        <button type="button" className="btn" onClick={() => onFold(`${node.cluster}/${node.namespace}/`)}>
          Fold {node.namespace}
        </button>
      ) : null}
    </div>
  );
}

interface NeighbourProps {
  title: string;
  edges: readonly GraphEdge[];
  end: 'from' | 'to';
  graph: ServiceGraph;
  onNode: (key: string) => void;
}

/** Neighbours before the rest is counted; the table has all. */
const SHOWN = 40;

function Neighbours({ title, edges, end, graph, onNode }: NeighbourProps) {
  return (
    <section aria-label={title}>
      <h3>
        {title} <span className="faint">{edges.length}</span>
      </h3>
      {edges.length === 0 ? <p className="faint">nobody in this range</p> : null}
      <ul className="neighbours">
        {edges.slice(0, SHOWN).map((edge) => {
          const other = graph.nodes.get(edge[end]);
          const share = errorShare(edge);
          return (
            <li key={`${edge[end]} ${edge.type}`}>
              <button type="button" className="linkish clip" onClick={() => onNode(edge[end])}>
                {other?.name ?? edge[end]}
              </button>
              {edge.type ? <span className="tag">{TYPE_WORDS[edge.type] ?? edge.type}</span> : null}
              <span className="grow" />
              {share > 0 ? <span className="num bad">✖ {formatShare(share)}</span> : null}
              <span className="num soft">{formatValue(edge.rate, 'ps')}</span>
              <span className="num soft nodeP95">{edge.p95 === null ? '' : formatDurationUs(edge.p95 * 1e6)}</span>
            </li>
          );
        })}
      </ul>
      {edges.length > SHOWN ? <p className="soft">and {edges.length - SHOWN} more, in the table</p> : null}
    </section>
  );
}
