/** What of the map is shown: level, errors only, what is around a node, a search, and the tables in its place. */
import { useSearch } from '@tanstack/react-router';
import { type Filtered, findNodes, type Level } from '../../lib/graphview';
import { errorShare, type ServiceGraph } from '../../lib/servicegraph';
import { formatCount, formatValue } from '../../lib/units';
import { usePatch } from '../../state/view';

interface Props {
  graph: Filtered;
  whole: ServiceGraph;
  level: Level;
  levels: readonly Level[];
  found: ReadonlySet<string>;
  isFetching: boolean;
  onNode: (key: string | undefined) => void;
}

const LEVEL_NAMES: Record<Level, string> = { cluster: 'Clusters', namespace: 'Namespaces', service: 'Services' };

export function Toolbar({ graph, whole, level, levels, found, isFetching, onNode }: Props) {
  const search = useSearch({ from: '/topology' });
  const patch = usePatch();
  const failing = graph.edges.filter((edge) => errorShare(edge) > 0).length;
  const rate = graph.edges.reduce((sum, edge) => sum + edge.rate, 0);
  return (
    <div className="panel row topologyBar">
      <input
        className="field"
        type="search"
        data-query-target=""
        aria-label="Find a service"
        placeholder="Find a service, namespace or cluster"
        value={search.find ?? ''}
        onChange={(event) => patch({ find: event.target.value || undefined }, 'replace')}
        onKeyDown={(event) => {
          // What is typed, which the address may not hold yet.
          const [first] = event.key === 'Enter' ? findNodes(graph, event.currentTarget.value) : [];
          if (first !== undefined) onNode(first);
        }}
      />
      {search.find ? <span className="soft">{formatCount(found.size)} found</span> : null}
      {levels.length > 1 ? (
        <div className="group" role="group" aria-label="Level">
          {levels.map((one) => (
            <button
              key={one}
              type="button"
              className="btn"
              aria-pressed={level === one}
              onClick={() => patch({ level: one, open: undefined, node: undefined, hops: undefined })}
            >
              {LEVEL_NAMES[one]}
            </button>
          ))}
        </div>
      ) : null}
      <button
        type="button"
        className="btn"
        aria-pressed={search.errors === 'on'}
        onClick={() => patch({ errors: search.errors ? undefined : 'on' })}
      >
        Errors only
      </button>
      {search.node !== undefined && graph.nodes.has(search.node) ? (
        <div className="group" role="group" aria-label="Neighbours">
          {([undefined, 1, 2] as const).map((hops) => (
            <button
              key={hops ?? 0}
              type="button"
              className="btn"
              aria-pressed={search.hops === hops}
              onClick={() => patch({ hops })}
            >
              {hops === undefined ? 'All' : hops === 1 ? 'Neighbours' : '2 hops'}
            </button>
          ))}
        </div>
      ) : null}
      {graph.hidden > 0 || search.lonely ? (
        <button
          type="button"
          className="btn"
          aria-pressed={search.lonely === 'on'}
          title="Services that send spans and have no edge to another"
          onClick={() => patch({ lonely: search.lonely ? undefined : 'on' })}
        >
          Without edges{graph.hidden > 0 ? ` (${formatCount(graph.hidden)})` : ''}
        </button>
      ) : null}
      <span className="grow" />
      {isFetching ? <span className="busy" /> : null}
      <span className="soft topologySum" role="status">
        {formatCount(graph.nodes.size)} of {formatCount(whole.nodes.size)} nodes · {formatCount(graph.edges.length)}{' '}
        edges · {formatValue(rate, 'ps')}
        {failing > 0 ? `, ${formatCount(failing)} failing` : ''}
      </span>
      <div className="group" role="group" aria-label="Show as">
        <button
          type="button"
          className="btn"
          aria-pressed={search.view === undefined}
          onClick={() => patch({ view: undefined })}
        >
          Map
        </button>
        <button
          type="button"
          className="btn"
          aria-pressed={search.view === 'table'}
          onClick={() => patch({ view: 'table' })}
        >
          Table
        </button>
      </div>
    </div>
  );
}
