/** Federation: whom this node asks, how the links are, when certificates end, and who was missing from which answer. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { type Federation, federation } from '../../api/federation';
import { ApiError } from '../../api/http';
import { certificateText, certificateTone, lackName, LINKS, overview, peerName, sortPeers } from '../../lib/peers';
import { formatDateTime } from '../../lib/timeformat';
import { formatCount, formatValue } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useAnswer } from '../../state/answers';
import { usePatch, useView } from '../../state/view';
import { NoPeers } from './NoPeers';
import { PeerDetail } from './PeerDetail';
import { PeerTable } from './PeerTable';
import { RecentTable } from './RecentTable';
import './federation.css';

/** Links change by themselves; a page about them that stands still would lie. */
const POLL_MS = 10_000;

export default function FederationPage() {
  const { asker, nowMs } = useView();
  const answer = useAnswer(['federation', asker, nowMs], (signal) => federation({ ...asker, signal }), {
    everyMs: POLL_MS,
  });
  const data = answer.data?.data;
  if (answer.error && !data) {
    const unknown = answer.error instanceof ApiError && answer.error.status === 404;
    return unknown ? (
      <div className="empty">
        <h2>This node knows no federation</h2>
        <p>Its version is from before peers, or it was built without them. Everything it shows is its own.</p>
      </div>
    ) : (
      <div className="page">
        <Problem error={answer.error} onRetry={() => void answer.refetch()} />
      </div>
    );
  }
  if (!data)
    return (
      <div className="empty">
        <span className="busy" />
      </div>
    );
  return (
    <div className="page federationPage">
      {answer.error ? <Problem error={answer.error} onRetry={() => void answer.refetch()} /> : null}
      <Loaded data={data} atMs={answer.dataUpdatedAt || nowMs} />
    </div>
  );
}

function Loaded({ data, atMs }: { data: Federation; atMs: number }) {
  const search = useSearch({ from: '/federation' });
  const patch = usePatch();
  const sorted = useMemo(() => sortPeers(data.peers, atMs), [data.peers, atMs]);
  const troubled = useMemo(
    () =>
      sorted.filter(
        (peer) =>
          LINKS[peer.state].tone !== 'good' ||
          ['warn', 'bad'].includes(certificateTone(peer.certificateExpiresAt, atMs)),
      ),
    [sorted, atMs],
  );
  const shown = search.show === 'trouble' ? troubled : sorted;
  // A coverage row of a whole replica group names the cluster alone: its first replica stands for it.
  const open =
    sorted.find((peer) => peerName(peer) === search.peer) ?? sorted.find((peer) => peer.name === search.peer);
  const recent = useMemo(
    () =>
      [...data.recent]
        .sort((a, b) => b.at - a.at)
        .filter((one) => !open || one.cluster === open.name || lackName(one) === peerName(open)),
    [data.recent, open],
  );
  return (
    <>
      <Facts data={data} atMs={atMs} />
      {data.peers.length === 0 ? (
        <NoPeers />
      ) : (
        <>
          <section className="panel peers" aria-label="Peers">
            <div className="row peersHead">
              <h2>Peers</h2>
              <span className="soft" role="status">
                {shown.length < sorted.length
                  ? `${formatCount(shown.length)} of ${formatCount(sorted.length)}`
                  : formatCount(sorted.length)}
                , those that need somebody first
              </span>
              <span className="grow" />
              <button
                type="button"
                className="btn"
                aria-pressed={search.show === 'trouble'}
                onClick={() => patch({ show: search.show === 'trouble' ? undefined : 'trouble' }, 'replace')}
              >
                Only trouble <span className="num faint">{formatCount(troubled.length)}</span>
              </button>
            </div>
            {search.peer && !open ? (
              <p className="problem peersNote">
                No peer is called {search.peer}: it is this node itself, or a cluster that a peer asks for us.
              </p>
            ) : null}
            {shown.length === 0 ? (
              <p className="peersNote soft">No peer is in trouble.</p>
            ) : (
              <PeerTable
                peers={shown}
                atMs={atMs}
                open={open ? peerName(open) : undefined}
                onOpen={(peer) => patch({ peer })}
              />
            )}
          </section>
          {open ? <PeerDetail peer={open} atMs={atMs} onClose={() => patch({ peer: undefined })} /> : null}
          <RecentTable rows={recent} of={open ? peerName(open) : undefined} />
        </>
      )}
    </>
  );
}

function Facts({ data, atMs }: { data: Federation; atMs: number }) {
  const { zone } = useView();
  const sums = useMemo(() => overview(data), [data]);
  const name = data.replica ? `${data.cluster}/${data.replica}` : data.cluster;
  const own = certificateTone(data.certificateExpiresAt, atMs);
  const first = sums.firstExpiry;
  return (
    <section className="fedFacts" aria-label="Overview">
      <div className="panel fedFact">
        <h2>This node</h2>
        <strong className="fedBig clip">{name}</strong>
        <span className={`fresh ${own}`}>
          {data.certificateExpiresAt === null
            ? 'no certificate towards others'
            : `certificate: ${certificateText(data.certificateExpiresAt, atMs)}`}
        </span>
      </div>
      <div className="panel fedFact">
        <h2>Links</h2>
        <strong className="fedBig">
          {sums.peers === 0 ? '–' : `${formatCount(sums.up)} of ${formatCount(sums.peers)} up`}
        </strong>
        <LinkSum up={sums.up} down={sums.down} all={sums.peers} />
      </div>
      <div className="panel fedFact">
        <h2>First certificate to end</h2>
        <strong className="fedBig">{first ? certificateText(first.at, atMs) : '–'}</strong>
        <span className={`fresh ${certificateTone(first?.at ?? null, atMs)}`}>
          {first ? `${first.name}, ${formatDateTime(first.at * 1e3, zone).slice(0, 10)}` : 'none is known'}
        </span>
      </div>
      <div className="panel fedFact">
        <h2>Slowest to answer</h2>
        <strong className="fedBig">{sums.slowest ? formatValue(sums.slowest.p99, 'seconds') : '–'}</strong>
        <span className="soft">{sums.slowest ? `p99 of ${sums.slowest.name}` : 'nobody was asked yet'}</span>
      </div>
    </section>
  );
}

function LinkSum({ up, down, all }: { up: number; down: number; all: number }) {
  if (all === 0) return <span className="fresh none">no peers</span>;
  if (down > 0) return <span className="fresh bad">{formatCount(down)} failing or left alone</span>;
  return up < all ? (
    <span className="fresh warn">some still connecting</span>
  ) : (
    <span className="fresh good">all answer</span>
  );
}
