/** Every service that sends spans, with what it serves: rate, errors, durations, and a way to its own page. */
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { adviceOn } from '../../lib/advice';
import { errorShare, type GraphNode } from '../../lib/servicegraph';
import type { Cell } from '../../lib/sorting';
import { callsQuery } from '../../lib/spanmetrics';
import { niceStep, promDuration } from '../../lib/steps';
import { formatDurationUs } from '../../lib/timeformat';
import { formatCount, formatShare, formatValue } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { type Head, SortedTable } from '../../parts/SortedTable';
import { SparkRate } from '../../parts/SparkRate';
import type { CommonSearch } from '../../state/search';
import { useGraph } from '../../state/servicegraph';
import { pickCommon, usePatch, useSetRange, useView } from '../../state/view';
import './services.css';

const HEADS: readonly Head[] = [
  { key: 'name', title: 'Service', width: 'minmax(160px, 1.6fr)' },
  { key: 'namespace', title: 'Namespace', width: 'minmax(90px, 1fr)' },
  { key: 'cluster', title: 'Cluster', width: 'minmax(90px, 1fr)' },
  { key: 'rate', title: 'Rate', width: '96px', isNumber: true },
  { key: 'curve', title: 'Over the range', width: '126px', isPicture: true },
  { key: 'errors', title: 'Errors', width: '96px', isNumber: true },
  { key: 'p95', title: 'p95', width: '90px', isNumber: true },
  { key: 'callers', title: 'Callers', width: '80px', isNumber: true },
  { key: 'calls', title: 'Calls', width: '70px', isNumber: true },
];
const POINTS = 60;

export default function ServicesPage() {
  const search = useSearch({ from: '/services' });
  const { range } = useView();
  const patch = usePatch();
  const { graph, error, isFetching, retry } = useGraph();
  const step = niceStep(range.toMs - range.fromMs, POINTS);
  const window = promDuration(Math.max(300, 2 * step));
  const degrees = useMemo(() => {
    const out = new Map<string, { callers: number; calls: number }>();
    const of = (key: string) => out.get(key) ?? { callers: 0, calls: 0 };
    for (const { from, to } of graph?.edges ?? []) {
      out.set(from, { ...of(from), calls: of(from).calls + 1 });
      out.set(to, { ...of(to), callers: of(to).callers + 1 });
    }
    return out;
  }, [graph]);
  const all = useMemo(() => [...(graph?.nodes.values() ?? [])].filter((node) => node.kind === 'service'), [graph]);
  const wanted = (search.find ?? '').trim().toLowerCase();
  const rows = all.filter((one) => `${one.name} ${one.namespace} ${one.cluster}`.toLowerCase().includes(wanted));
  const of = (node: GraphNode, key: string): Cell => {
    if (key === 'name' || key === 'namespace' || key === 'cluster') return node[key];
    if (key === 'callers' || key === 'calls') return degrees.get(node.key)?.[key] ?? 0;
    return key === 'rate' ? node.rate : key === 'errors' ? errorShare(node) : node.p95;
  };
  return (
    <div className="page servicesPage">
      {error ? <Problem error={error} advice={adviceOn(error)} onRetry={retry} /> : null}
      {graph && all.length === 0 ? <NoServices /> : null}
      {!graph && !error ? (
        <div className="empty">
          <span className="busy" />
        </div>
      ) : null}
      {all.length > 0 ? (
        <section className="panel servicesList" aria-label="Services">
          <SortedTable
            label="Services"
            file="services"
            heads={HEADS}
            rows={rows}
            sort={search.sort}
            usual="-rate"
            height="fill"
            leastPx={860}
            of={of}
            keyOf={(node) => node.key}
            note={
              <>
                <input
                  className="field"
                  type="search"
                  data-query-target=""
                  aria-label="Find a service"
                  placeholder="Find a service, namespace or cluster"
                  value={search.find ?? ''}
                  onChange={(event) => patch({ find: event.target.value || undefined }, 'replace')}
                />
                <span className="soft" role="status">
                  {rows.length === all.length
                    ? formatCount(all.length)
                    : `${formatCount(rows.length)} of ${formatCount(all.length)}`}
                </span>
                {isFetching ? <span className="busy" /> : null}
              </>
            }
            show={(node, key) => {
              if (key === 'name') {
                return (
                  <Link
                    to="/services/$name"
                    params={{ name: node.name }}
                    search={(before: CommonSearch) => pickCommon(before)}
                    className="clip cellLink"
                  >
                    {node.name}
                  </Link>
                );
              }
              if (key === 'curve') {
                const subject = { service: node.name, side: 'served' as const };
                return <SparkRate expr={callsQuery(subject, 'service', window)} stepSeconds={step} />;
              }
              return cellText(of(node, key), key);
            }}
          />
        </section>
      ) : null}
    </div>
  );
}

function cellText(cell: Cell, key: string): React.ReactNode {
  if (cell === null || cell === '') return <span className="faint">–</span>;
  if (typeof cell === 'string') return cell;
  if (key === 'rate') return formatValue(cell, 'ps');
  if (key === 'p95') return formatDurationUs(cell * 1e6);
  if (key !== 'errors') return formatCount(cell);
  return cell > 0 ? <span className="bad">✖ {formatShare(cell)}</span> : '0 %';
}

function NoServices() {
  const setRange = useSetRange();
  return (
    <div className="panel empty grow">
      <h2>No services yet</h2>
      <p>
        Services are known by their spans. Send some as OTLP to <code>/v1/traces</code> or port 4317; their rate, errors
        and durations are here within a minute.
      </p>
      <button type="button" className="btn" onClick={() => setRange({ from: 'now-24h', to: 'now' })}>
        Last 24 hours
      </button>
    </div>
  );
}
