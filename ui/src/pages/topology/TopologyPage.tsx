/** The map of services as their spans tell it: who calls whom, how often, how many fail, how slowly; or as tables. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { GapList } from '../../chart/GapList';
import { adviceOn } from '../../lib/advice';
import { filterGraph, findNodes, foldGraph, type Level, levelsOf, MOST_NODES, usualLevel } from '../../lib/graphview';
import type { Loose, PairedEdges, ServiceGraph } from '../../lib/servicegraph';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useGaps } from '../../state/gaps';
import { useGraph } from '../../state/servicegraph';
import { usePatch, useView } from '../../state/view';
import { MapView } from './MapView';
import { NodePanel } from './NodePanel';
import { NoEdges } from './NoEdges';
import { Tables } from './Tables';
import { Toolbar } from './Toolbar';
import './topology.css';

export default function TopologyPage() {
  const { range, zone } = useView();
  const { graph, loose, paired, coverage, error, isFetching, retry } = useGraph();
  const gaps = useGaps(coverage);
  return (
    <div className="page topologyPage">
      {error ? <Problem error={error} advice={adviceOn(error)} onRetry={retry} /> : null}
      {gaps.length > 0 ? (
        <div className="panel topologyGaps">
          <GapList gaps={gaps} range={range} zone={zone} />
        </div>
      ) : null}
      {loose !== null && loose.unpaired + loose.dropped > 0 ? <Halves loose={loose} paired={paired} /> : null}
      {graph === null ? (
        error ? null : (
          <div className="empty">
            <span className="busy" />
          </div>
        )
      ) : graph.edges.length === 0 ? (
        <NoEdges graph={graph} />
      ) : (
        <Known graph={graph} isFetching={isFetching} />
      )}
    </div>
  );
}

/** What the edges of metrics do not count, and where it was looked for. */
function Halves({ loose, paired }: { loose: Loose; paired: PairedEdges | null }) {
  const parts = [
    loose.unpaired > 0 && `${formatCount(loose.unpaired)} spans had no other half in time on their node`,
    loose.dropped > 0 && `${formatCount(loose.dropped)} were dropped because too many waited`,
  ];
  const sample = paired !== null && paired.oneIn > 1 ? `, of one trace in ${paired.oneIn}` : '';
  return (
    <p className="soft topologyCut" role="status">
      {parts.filter(Boolean).join(', ')}.{' '}
      {paired === null ? 'They are not in the edges.' : `Calls between nodes are counted in spans${sample}.`}
    </p>
  );
}

function Known({ graph, isFetching }: { graph: ServiceGraph; isFetching: boolean }) {
  const search = useSearch({ from: '/topology' });
  const patch = usePatch();
  const levels = useMemo(() => levelsOf(graph), [graph]);
  const level: Level = search.level ?? usualLevel(graph);
  const openText = (search.open ?? []).join('\n');
  const folded = useMemo(
    () => foldGraph(graph, level, new Set(openText.split('\n').filter(Boolean))),
    [graph, level, openText],
  );
  const node = search.node !== undefined && folded.nodes.has(search.node) ? search.node : undefined;
  const shown = useMemo(
    () =>
      filterGraph(folded, {
        errors: search.errors === 'on',
        node,
        hops: node === undefined ? undefined : search.hops,
        lonely: search.lonely === 'on',
      }),
    [folded, search.errors, node, search.hops, search.lonely],
  );
  const found = useMemo(() => findNodes(shown, search.find ?? ''), [shown, search.find]);
  const onNode = (key: string | undefined) => patch({ node: key, hops: key === undefined ? undefined : search.hops });
  const onFold = (key: string) => {
    const open = search.open ?? [];
    const next = open.includes(key) ? open.filter((one) => one !== key) : [...open, key];
    patch({ open: next.length > 0 ? next : undefined, node: undefined, hops: undefined });
  };
  return (
    <>
      <Toolbar
        graph={shown}
        whole={graph}
        level={level}
        levels={levels}
        found={found}
        isFetching={isFetching}
        onNode={onNode}
      />
      {shown.cut > 0 ? (
        <p className="soft topologyCut" role="status">
          Showing the {formatCount(MOST_NODES)} busiest of {formatCount(MOST_NODES + shown.cut)}; fold groups, or look
          at the neighbours of one.
        </p>
      ) : null}
      {search.view === 'table' ? (
        <Tables graph={shown} found={found} onNode={onNode} />
      ) : (
        <div className="topologyBody">
          {shown.nodes.size === 0 ? (
            <div className="panel empty grow">
              <h2>{search.errors ? 'Nothing fails' : 'Nothing to show'}</h2>
              <p>
                {search.errors
                  ? 'No request between services failed in this range.'
                  : 'No service is left by the filters.'}
              </p>
              <button
                type="button"
                className="btn primary"
                onClick={() => patch({ errors: undefined, hops: undefined, node: undefined })}
              >
                Show all
              </button>
            </div>
          ) : (
            <MapView graph={shown} current={node} found={found} onNode={onNode} onFold={onFold} />
          )}
          {node !== undefined ? <NodePanel graph={folded} node={node} onNode={onNode} onFold={onFold} /> : null}
        </div>
      )}
    </>
  );
}
