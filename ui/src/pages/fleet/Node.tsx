/** What one node says of itself, signal by signal; of a peer that was not reached, what it announced last. */
import { Link } from '@tanstack/react-router';
import type { Peer } from '../../api/federation';
import type { NodeState, SignalState } from '../../api/fleet';
import type { Series } from '../../api/prom';
import { Sparkline } from '../../chart/Sparkline';
import { ageOf, nodeName, rateOf, sortSignals, toneOfAge, toneOfShare } from '../../lib/fleet';
import { LINKS } from '../../lib/peers';
import { formatDateTime, formatSpan } from '../../lib/timeformat';
import { formatBytes, formatCount, formatValue } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useView } from '../../state/view';

/** Fixed, so that the columns of all nodes stand under each other. */
const WIDTHS = ['6%', '10%', '8%', '13%', '10%', '9%', '8%', '9%', '13.5%', '13.5%'];
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

interface Props {
  node: NodeState;
  peer: Peer | undefined;
  rates: readonly Series[];
  atMs: number;
}

export function Node({ node, peer, rates, atMs }: Props) {
  const { zone } = useView();
  return (
    <section className="node" aria-label={`Node ${nodeName(node)}`}>
      <div className="nodeHead">
        <h2>{nodeName(node)}</h2>
        {node.version ? <span className="tag">{node.version}</span> : null}
        {node.uptime_seconds === null ? null : (
          <span
            className="soft"
            title={node.started_at === null ? undefined : `since ${formatDateTime(node.started_at * 1e3, zone)}`}
          >
            up {formatSpan(node.uptime_seconds)}
          </span>
        )}
        <span className="soft clip">{tenantText(node.tenants)}</span>
        <span className="grow" />
        {node.memory ? <Gauge name="Memory" used={node.memory.used_bytes} of={node.memory.limit_bytes} /> : null}
        {node.disk ? (
          <Gauge
            name="Disk"
            used={node.disk.total_bytes - node.disk.free_bytes}
            of={node.disk.total_bytes}
            own={node.disk.used_bytes}
          />
        ) : null}
      </div>
      {node.refusing ? (
        <div className="problem" role="alert">
          Takes nothing in: {node.refusing}
        </div>
      ) : null}
      {node.reached ? null : <NotReached peer={peer} />}
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

function NotReached({ peer }: { peer: Peer | undefined }) {
  const { zone } = useView();
  const since = peer?.since ? ` since ${formatDateTime(peer.since * 1e3, zone)}` : '';
  return (
    <p className="problem" role="status">
      Not reached{since}
      {peer?.lastError ? `: ${peer.lastError}` : ''}. {peer ? LINKS[peer.state].says : ''} Below is what it announced
      last.
    </p>
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
        <strong>{signal.items_per_second === null ? '–' : formatValue(signal.items_per_second, 'ps')}</strong>
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
      <td className="num">{told(signal.items_total, formatCount)}</td>
      <td className="num">{told(signal.bytes_stored, formatBytes)}</td>
      <td className="num">{told(signal.segments, formatCount)}</td>
      <td className="num">{told(signal.head_bytes, formatBytes)}</td>
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

function told(value: number | null, format: (value: number) => string): string {
  return value === null ? '–' : format(value);
}

function tenantText(tenants: NodeState['tenants']): string {
  if (tenants === null) return '';
  if (typeof tenants === 'number') return tenants === 1 ? '1 tenant' : `${formatCount(tenants)} tenants`;
  return tenants.length <= 2 ? tenants.join(', ') : `${formatCount(tenants.length)} tenants`;
}
