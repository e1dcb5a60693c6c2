/** A block per node; only the blocks in sight exist. */
import { Link } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import type { NodeState, SignalState } from '../../api/fleet';
import type { Series } from '../../api/prom';
import { Sparkline } from '../../chart/Sparkline';
import { ageOf, nodeName, rateOf, sortSignals, toneOfAge, toneOfShare } from '../../lib/fleet';
import { formatDateTime, formatSpan } from '../../lib/timeformat';
import { formatBytes, formatCount, formatValue } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useView } from '../../state/view';

interface Props {
  nodes: readonly NodeState[];
  rates: readonly Series[];
  atMs: number;
}

const BLOCK_PX = 168;
/** Fixed, so that the columns of all nodes stand under each other. */
const WIDTHS = ['7%', '10%', '8%', '14%', '11%', '9%', '8%', '9%', '12%', '12%'];
const COLOURS: Record<string, string> = {
  metrics: 'var(--series-0)',
  logs: 'var(--series-2)',
  traces: 'var(--series-3)',
};
const TARGETS: Record<string, '/metrics' | '/logs' | '/traces'> = {
  metrics: '/metrics',
  logs: '/logs',
  traces: '/traces',
};

export function NodeList({ nodes, rates, atMs }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: nodes.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => BLOCK_PX,
    overscan: 4,
  });
  return (
    <div
      ref={scroller}
      className="virtual nodeList"
      style={{ height: virtual.getTotalSize() }}
      tabIndex={0}
      role="region"
      aria-label="Nodes"
    >
      <div className="inner" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const node = nodes[item.index];
          return node ? (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className="vrow nodeSlot"
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <Node node={node} rates={rates} atMs={atMs} />
            </div>
          ) : null;
        })}
      </div>
    </div>
  );
}

function Node({ node, rates, atMs }: { node: NodeState; rates: readonly Series[]; atMs: number }) {
  const { zone } = useView();
  return (
    <section className="panel node" aria-label={`Node ${nodeName(node)}`}>
      <div className="nodeHead">
        <h2>{nodeName(node)}</h2>
        <span className="tag">{node.version}</span>
        <span className="soft" title={`since ${formatDateTime(node.started_at * 1e3, zone)}`}>
          up {formatSpan(node.uptime_seconds)}
        </span>
        <span className="soft clip">{tenantText(node.tenants)}</span>
        <span className="grow" />
        <Gauge name="Memory" used={node.memory.used_bytes} of={node.memory.limit_bytes} />
        <Gauge
          name="Disk"
          used={node.disk.total_bytes - node.disk.free_bytes}
          of={node.disk.total_bytes}
          own={node.disk.used_bytes}
        />
      </div>
      {node.refusing ? (
        <div className="problem" role="alert">
          Takes nothing in: {node.refusing}
        </div>
      ) : null}
      <table className="grid nodeSignals">
        <colgroup>
          {WIDTHS.map((width, i) => (
            <col key={i} style={{ width }} />
          ))}
        </colgroup>
        <thead>
          <tr>
            <th scope="col">Signal</th>
            <th scope="col" className="num">
              Newest
            </th>
            <th scope="col" className="num">
              Rate
            </th>
            <th scope="col">Over the range</th>
            <th scope="col" className="num">
              Items
            </th>
            <th scope="col" className="num">
              Stored
            </th>
            <th scope="col" className="num">
              Segments
            </th>
            <th scope="col" className="num">
              In head
            </th>
            <th scope="col">From</th>
            <th scope="col">To</th>
          </tr>
        </thead>
        <tbody>
          {sortSignals(node.signals).map((signal) => (
            <Signal
              key={signal.signal}
              node={node}
              signal={signal}
              series={rateOf(rates, node, signal.signal)}
              atMs={atMs}
            />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Signal({
  node,
  signal,
  series,
  atMs,
}: {
  node: NodeState;
  signal: SignalState;
  series: Series | undefined;
  atMs: number;
}) {
  const { zone } = useView();
  const age = ageOf(signal, atMs);
  const tone = toneOfAge(age);
  const target = TARGETS[signal.signal];
  const at = (seconds: number | null) => (seconds === null ? '–' : formatDateTime(seconds * 1e3, zone));
  return (
    <tr>
      <th scope="row" className="nodeSignal">
        {target ? (
          <Link to={target} search={(before: CommonSearch) => pickCommon(before)}>
            {signal.signal}
          </Link>
        ) : (
          signal.signal
        )}
      </th>
      <td className="num">
        <span className={`fresh ${tone}`}>{age === null ? 'nothing yet' : `${formatSpan(age)} ago`}</span>
      </td>
      <td className="num">
        <strong>{formatValue(signal.items_per_second, 'ps')}</strong>
      </td>
      <td>
        {series ? (
          <Link
            to="/metrics"
            aria-label={`Ingest rate of ${signal.signal} on ${nodeName(node)} as a chart`}
            search={(before: CommonSearch) => ({
              ...pickCommon(before),
              q: ['sum by (signal) (rate(orrery_store_items_accepted_total[1m]))'],
            })}
          >
            <Sparkline values={series.values} colour={COLOURS[signal.signal] ?? 'var(--series-8)'} width={150} />
          </Link>
        ) : (
          <span className="faint">no rates yet</span>
        )}
      </td>
      <td className="num">{formatCount(signal.items_total)}</td>
      <td className="num">{formatBytes(signal.bytes_stored)}</td>
      <td className="num">{formatCount(signal.segments)}</td>
      <td className="num">{formatBytes(signal.head_bytes)}</td>
      <td className="data soft">{at(signal.oldest)}</td>
      <td className="data soft">{at(signal.newest)}</td>
    </tr>
  );
}

function Gauge({ name, used, of, own }: { name: string; used: number; of: number; own?: number }) {
  const share = of > 0 ? used / of : NaN;
  const tone = toneOfShare(share);
  const percent = Number.isFinite(share) ? `${Math.round(share * 100)} %` : 'no limit';
  return (
    <div className="nodeGauge">
      <span className="soft">{name}</span>
      <span className="nodeTrack" role="img" aria-label={`${name} ${percent} used`}>
        <span className={`nodeFill ${tone}`} style={{ width: `${Math.min(100, Math.max(0, (share || 0) * 100))}%` }} />
      </span>
      <span className="num">
        {formatBytes(used)} / {of > 0 ? formatBytes(of) : '–'}{' '}
        <span className={tone === 'good' || tone === 'none' ? 'faint' : tone}>{percent}</span>
        {own === undefined ? null : <span className="faint"> · {formatBytes(own)} ours</span>}
      </span>
    </div>
  );
}

function tenantText(tenants: NodeState['tenants']): string {
  if (typeof tenants === 'number') return tenants === 1 ? '1 tenant' : `${formatCount(tenants)} tenants`;
  return tenants.length <= 2 ? tenants.join(', ') : `${formatCount(tenants.length)} tenants`;
}
