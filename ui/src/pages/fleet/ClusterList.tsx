/** A row per cluster, worst first, that folds out to its replicas; only the rows in sight exist. */
import { Link, useSearch } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import type { Series } from '../../api/prom';
import { type Cluster, toneOfAge, toneOfShare } from '../../lib/fleet';
import { LINKS, peerName } from '../../lib/peers';
import { formatSpan } from '../../lib/timeformat';
import { formatValue } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon, usePatch } from '../../state/view';
import type { PeerOf } from './FleetPage';
import { Node } from './Node';

interface Props {
  clusters: readonly Cluster[];
  rates: readonly Series[];
  atMs: number;
  peerOf: PeerOf;
}

const ROW_PX = 46;
/** With so few clusters there is room for all that is known of them. */
const OPEN_BELOW = 2;

export function ClusterList({ clusters, rates, atMs, peerOf }: Props) {
  const search = useSearch({ from: '/' });
  const patch = usePatch();
  const scroller = useRef<HTMLDivElement>(null);
  const byDefault = clusters.length < OPEN_BELOW;
  const toggled = new Set(search.open ?? []);
  const virtual = useVirtualizer({
    count: clusters.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => clusters[index]?.name ?? index,
    overscan: 6,
  });
  const toggle = (name: string) => {
    const next = toggled.has(name) ? [...toggled].filter((one) => one !== name) : [...toggled, name];
    patch({ open: next.length > 0 ? next : undefined }, 'replace');
  };
  return (
    <section className="panel clusters" aria-label="Clusters">
      <div className="clusterHead" aria-hidden="true">
        <span>Cluster</span>
        <span>Link</span>
        <span>Newest item</span>
        <span className="num">Lag</span>
        <span className="num">Ingest</span>
        <span>Memory</span>
        <span>Disk</span>
        <span>Version</span>
      </div>
      <div
        ref={scroller}
        className="virtual clusterList"
        style={{ height: virtual.getTotalSize() }}
        tabIndex={0}
        role="list"
        aria-label="Clusters, the worst first"
      >
        <div className="inner" role="presentation" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const cluster = clusters[item.index];
            if (!cluster) return null;
            const open = byDefault !== toggled.has(cluster.name);
            return (
              <div
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                role="listitem"
                className="vrow clusterSlot"
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <Row cluster={cluster} open={open} peerOf={peerOf} onToggle={() => toggle(cluster.name)} />
                {open
                  ? cluster.nodes.map((node, i) => (
                      <Node key={`${node.replica} ${i}`} node={node} peer={peerOf(node)} rates={rates} atMs={atMs} />
                    ))
                  : null}
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}

interface RowProps {
  cluster: Cluster;
  open: boolean;
  peerOf: PeerOf;
  onToggle: () => void;
}

function Row({ cluster, open, peerOf, onToggle }: RowProps) {
  const rate = cluster.signals.filter((one) => one.perSecond !== null);
  return (
    <div className="clusterRow" data-tone={cluster.tone}>
      <div className="clusterName">
        <button
          type="button"
          className="btn quiet"
          aria-expanded={open}
          aria-label={`${open ? 'Fold' : 'Unfold'} ${cluster.name}`}
          onClick={onToggle}
        >
          {open ? '▾' : '▸'}
        </button>
        <div className="clip">
          <strong>{cluster.name}</strong>
          {cluster.local ? <span className="tag"> this node</span> : null}
          <div className={`clip clusterTroubles ${cluster.tone === 'good' ? 'soft' : cluster.tone}`}>
            {cluster.troubles.length > 0
              ? cluster.troubles.join(' · ')
              : cluster.nodes.length > 1
                ? `${cluster.nodes.length} replicas`
                : 'nothing wrong'}
          </div>
        </div>
      </div>
      <Cell label="Link">
        <Links cluster={cluster} peerOf={peerOf} />
      </Cell>
      <Cell label="Newest item">
        <span className="clusterSignals">
          {cluster.signals.map((one) => (
            <span key={one.signal} className={`fresh ${toneOfAge(one.age)}`}>
              <span className="clusterSignal">{one.signal}</span> {one.age === null ? 'none yet' : formatSpan(one.age)}
            </span>
          ))}
          {cluster.signals.length === 0 ? <span className="faint">not told</span> : null}
        </span>
      </Cell>
      <Cell label="Lag" number>
        {cluster.lag === null ? '–' : formatSpan(cluster.lag)}
      </Cell>
      <Cell label="Ingest" number>
        <span className="clusterSignals">
          {rate.map((one) => (
            <span key={one.signal} title={`${one.signal} per second`}>
              {formatValue(one.perSecond ?? 0, 'ps')}
            </span>
          ))}
          {rate.length === 0 ? '–' : null}
        </span>
      </Cell>
      <Cell label="Memory">
        <Bar name="Memory" share={cluster.memory} />
      </Cell>
      <Cell label="Disk">
        <Bar name="Disk" share={cluster.disk} />
      </Cell>
      <Cell label="Version">
        <span className={cluster.versions.length > 1 ? 'warn data' : 'data'}>{cluster.versions.join(', ') || '–'}</span>
      </Cell>
    </div>
  );
}

function Cell({ label, number, children }: { label: string; number?: boolean; children: React.ReactNode }) {
  return (
    <div className={number ? 'clusterCell num' : 'clusterCell'}>
      <span className="clusterLabel">{label}</span>
      {children}
    </div>
  );
}

/** Replicas in the same state share one mark. */
function Links({ cluster, peerOf }: { cluster: Cluster; peerOf: PeerOf }) {
  const marks = new Map<string, { tone: string; peer: string | null; count: number }>();
  for (const node of cluster.nodes) {
    const peer = peerOf(node);
    const look = peer && peer.state !== 'unknown' ? LINKS[peer.state] : undefined;
    const word = node.peer === null ? 'Local' : (look?.word ?? (node.reached ? 'Up' : 'Not reached'));
    const tone = node.peer === null ? 'good' : (look?.tone ?? (node.reached ? 'good' : 'bad'));
    const seen = marks.get(word);
    marks.set(word, { tone, peer: seen?.peer ?? (peer ? peerName(peer) : null), count: (seen?.count ?? 0) + 1 });
  }
  return (
    <span className="clusterSignals">
      {[...marks].map(([word, { tone, peer, count }]) => {
        const text = count > 1 ? `${word} ×${count}` : word;
        return peer ? (
          <Link
            key={word}
            to="/federation"
            search={(before: CommonSearch) => ({ ...pickCommon(before), peer })}
            className={`fresh ${tone}`}
          >
            {text}
          </Link>
        ) : (
          <span key={word} className={`fresh ${tone}`}>
            {text}
          </span>
        );
      })}
    </span>
  );
}

function Bar({ name, share }: { name: string; share: number }) {
  if (!Number.isFinite(share)) return <span className="faint">not told</span>;
  const percent = `${Math.round(share * 100)} %`;
  const tone = toneOfShare(share);
  return (
    <span className="clusterBar">
      <span className="nodeTrack" role="img" aria-label={`${name} ${percent} used`}>
        <span className={`nodeFill ${tone}`} style={{ width: `${Math.min(100, Math.max(0, share * 100))}%` }} />
      </span>
      <span className={tone === 'good' ? 'soft' : tone}>{percent}</span>
    </span>
  );
}
