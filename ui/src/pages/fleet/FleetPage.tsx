/** The fleet: what arrives where, how fresh it is, how much room is left, and who is not reached. */
import { useMemo } from 'react';
import { federation, type Peer } from '../../api/federation';
import { fleet, type NodeState } from '../../api/fleet';
import { queryRange } from '../../api/prom';
import { clustersOf, toneOfAge, type Totals, totals } from '../../lib/fleet';
import { LINKS } from '../../lib/peers';
import { inScope } from '../../lib/scope';
import { niceStep, promDuration } from '../../lib/steps';
import { formatDateTime, formatSpan } from '../../lib/timeformat';
import { formatBytes, formatCount, formatValue } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { CoverageTable } from '../../shell/CoverageTable';
import { useAnswer, usePageCoverage } from '../../state/answers';
import { useView } from '../../state/view';
import { ClusterList } from './ClusterList';
import { RateCharts } from './RateCharts';
import './fleet.css';

/** Freshness is about this moment: it is asked for again on its own, whatever the refresh of the view. */
const POLL_MS = 10_000;
const SPARK_POINTS = 60;

export default function FleetPage() {
  const { asker, scope, range, zone, nowMs, from, to } = useView();
  const nodes = useAnswer(['fleet', asker, nowMs], (signal) => fleet({ ...asker, signal }), { everyMs: POLL_MS });
  // A node without peers, or an older one, says nothing of links: then the list of nodes is all there is.
  const links = useAnswer(['federation', asker], (signal) => federation({ ...asker, signal }), { everyMs: POLL_MS });
  const step = niceStep(range.toMs - range.fromMs, SPARK_POINTS, 15);
  const rateQuery = `sum by (cluster, replica, signal) (rate(orrery_store_items_accepted_total[${promDuration(Math.max(60, step))}]))`;
  const rates = useAnswer(['fleet rates', asker, from, to, nowMs], (signal) =>
    queryRange(rateQuery, range, step, { ...asker, signal }),
  );
  const coverage = usePageCoverage();
  const atMs = nodes.dataUpdatedAt || nowMs;
  const list = useMemo(
    () => (nodes.data?.data ?? []).filter((node) => inScope(scope.labels, { cluster: node.cluster })),
    [nodes.data, scope],
  );
  const peerOf = useMemo(() => peerFinder(links.data?.data.peers ?? []), [links.data]);
  const clusters = useMemo(() => clustersOf(list, atMs, (node) => linkTone(node, peerOf(node))), [list, atMs, peerOf]);
  const sums = useMemo(() => totals(list, atMs), [list, atMs]);
  if (nodes.error && list.length === 0)
    return (
      <div className="page">
        <Problem error={nodes.error} onRetry={() => void nodes.refetch()} />
      </div>
    );
  if (nodes.isLoading)
    return (
      <div className="empty">
        <span className="busy" />
      </div>
    );
  return (
    <div className="page fleetPage">
      {nodes.error ? <Problem error={nodes.error} onRetry={() => void nodes.refetch()} /> : null}
      <section className="fleetTotals" aria-label="All nodes together">
        <div className="panel fleetTotal">
          <h2>{clusters.length === 1 ? 'Cluster' : 'Clusters'}</h2>
          <strong className="fleetBig">{formatCount(clusters.length)}</strong>
          <span className="soft">
            {formatCount(list.length)} {list.length === 1 ? 'node' : 'nodes'}
            {notReached(list)} · {formatDateTime(atMs, zone).slice(11)}
          </span>
        </div>
        {sums.map((one) => (
          <Total key={one.signal} total={one} />
        ))}
      </section>
      {list.length === 0 ? (
        <div className="panel empty grow">
          <h2>{nodes.data?.data.length ? 'No node is in the scope' : 'No node answers'}</h2>
          <p>
            {nodes.data?.data.length
              ? 'The scope in the bar names clusters that are not among the nodes here.'
              : 'The node that serves this page should list itself. Its log says why it does not.'}
          </p>
        </div>
      ) : (
        <ClusterList clusters={clusters} rates={rates.data?.data.series ?? []} atMs={atMs} peerOf={peerOf} />
      )}
      {rates.error ? <Problem error={rates.error} onRetry={() => void rates.refetch()} /> : null}
      {rates.data ? (
        <RateCharts series={rates.data.data.series} step={step} nodes={list.length} coverage={rates.data.coverage} />
      ) : null}
      {coverage.length > 0 ? (
        <section className="panel fleetCoverage" aria-label="Coverage">
          <h2>Coverage</h2>
          <CoverageTable rows={coverage} />
        </section>
      ) : null}
    </div>
  );
}

function notReached(list: readonly NodeState[]): string {
  const count = list.filter((node) => !node.reached).length;
  return count > 0 ? `, ${formatCount(count)} not reached` : '';
}

export type PeerOf = (node: NodeState) => Peer | undefined;

/** A node names the peer it is known by, with its replica behind a slash or without. */
function peerFinder(peers: readonly Peer[]): PeerOf {
  return (node) => {
    if (node.peer === null) return undefined;
    const named = peers.filter((peer) => peer.name === node.peer || `${peer.name}/${peer.replica}` === node.peer);
    return named.find((peer) => peer.replica === node.replica) ?? named[0];
  };
}

function linkTone(node: NodeState, peer: Peer | undefined) {
  if (node.peer !== null && peer && peer.state !== 'unknown') return LINKS[peer.state].tone;
  return node.reached ? ('good' as const) : ('bad' as const);
}

function Total({ total }: { total: Totals }) {
  const age = total.worst?.age ?? null;
  return (
    <div className="panel fleetTotal">
      <h2>{total.signal}</h2>
      <strong className="fleetBig">{formatValue(total.perSecond, 'ps')}</strong>
      <span className="soft">
        {formatCount(total.items)} {NOUNS[total.signal] ?? 'items'} · {formatBytes(total.bytes)}
      </span>
      <span className={`fresh ${toneOfAge(age)}`}>
        {age === null ? 'nothing received yet' : `newest ${formatSpan(age)} ago`}
        {total.worst && age !== null && age > 60 ? ` on ${total.worst.node}` : ''}
      </span>
    </div>
  );
}

const NOUNS: Record<string, string> = { metrics: 'samples', logs: 'lines', traces: 'spans' };
