/** The fleet: what arrives where, how fresh it is, and how much room is left. */
import { useMemo } from 'react';
import { fleet } from '../../api/fleet';
import { queryRange } from '../../api/prom';
import { niceStep, promDuration } from '../../lib/steps';
import { formatDateTime, formatSpan } from '../../lib/timeformat';
import { toneOfAge, totals, type Totals } from '../../lib/fleet';
import { formatBytes, formatCount, formatValue } from '../../lib/units';
import { CoverageTable } from '../../shell/CoverageBadge';
import { Problem } from '../../parts/Problem';
import { useAnswer, usePageCoverage } from '../../state/answers';
import { useView } from '../../state/view';
import { NodeList } from './NodeList';
import { RateCharts } from './RateCharts';
import './fleet.css';

/** Freshness is about this moment: it is asked for again on its own, whatever the refresh of the view. */
const POLL_MS = 10_000;
const SPARK_POINTS = 60;

export default function FleetPage() {
  const { tenant, range, zone, nowMs, from, to } = useView();
  const nodes = useAnswer(['fleet', tenant, nowMs], (signal) => fleet({ tenant, signal }), { everyMs: POLL_MS });
  const step = niceStep(range.toMs - range.fromMs, SPARK_POINTS, 15);
  const rateQuery = `sum by (cluster, replica, signal) (rate(orrery_store_items_accepted_total[${promDuration(Math.max(60, step))}]))`;
  const rates = useAnswer(['fleet rates', tenant, from, to, nowMs], (signal) =>
    queryRange(rateQuery, range, step, { tenant, signal }),
  );
  const coverage = usePageCoverage();
  const atMs = nodes.dataUpdatedAt || nowMs;
  const list = useMemo(() => nodes.data?.data ?? [], [nodes.data]);
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
          <h2>Nodes</h2>
          <strong className="fleetBig">{formatCount(list.length)}</strong>
          <span className="soft">
            as of {formatDateTime(atMs, zone).slice(11)}, every {POLL_MS / 1e3} s
          </span>
        </div>
        {sums.map((one) => (
          <Total key={one.signal} total={one} />
        ))}
      </section>
      {list.length === 0 ? (
        <div className="panel empty grow">
          <h2>No node answers</h2>
          <p>The node that serves this page should list itself. Its log says why it does not.</p>
        </div>
      ) : (
        <NodeList nodes={list} rates={rates.data?.data.series ?? []} atMs={atMs} />
      )}
      {rates.error ? <Problem error={rates.error} onRetry={() => void rates.refetch()} /> : null}
      {rates.data ? <RateCharts series={rates.data.data.series} step={step} nodes={list.length} /> : null}
      {coverage.length > 0 ? (
        <section className="panel fleetCoverage" aria-label="Coverage">
          <h2>Coverage</h2>
          <CoverageTable rows={coverage} />
        </section>
      ) : null}
    </div>
  );
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
