/** Everything that is known of one peer. */
import { Link } from '@tanstack/react-router';
import type { Peer } from '../../api/federation';
import { sortSignals, toneOfAge } from '../../lib/fleet';
import { certificateText, certificateTone, LINKS, peerName, replicationText } from '../../lib/peers';
import { formatDateTime, formatSpan } from '../../lib/timeformat';
import { CloseIcon } from '../../shell/icons';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useView } from '../../state/view';

interface Props {
  peer: Peer;
  atMs: number;
  onClose: () => void;
}

export function PeerDetail({ peer, atMs, onClose }: Props) {
  const { zone } = useView();
  const at = (seconds: number | null) => (seconds === null ? 'not told' : formatDateTime(seconds * 1e3, zone));
  const look = LINKS[peer.state];
  const labels = Object.entries(peer.labels);
  return (
    <section className="panel peerDetail" aria-label={`Peer ${peerName(peer)}`}>
      <div className="row">
        <h2 className="grow">{peerName(peer)}</h2>
        <Link to="/" search={(before: CommonSearch) => ({ ...pickCommon(before), open: [peer.name] })} className="btn">
          In the fleet
        </Link>
        <button type="button" className="btn quiet" aria-label="Close the peer" onClick={onClose}>
          <CloseIcon />
        </button>
      </div>
      <p>
        <span className={`fresh ${look.tone}`}>{look.word}</span>
        {peer.since === null ? '' : ` since ${at(peer.since)}`}. {look.says}
      </p>
      {peer.lastError ? (
        <p className={look.tone === 'good' ? 'soft peerError' : 'problem peerError'}>
          {look.tone === 'good' ? 'Last error: ' : ''}
          {peer.lastError}
        </p>
      ) : null}
      <div className="peerParts">
        <dl className="peerFacts">
          <dt>Kind</dt>
          <dd>{peer.kind}</dd>
          <dt>Address</dt>
          <dd className="data">{peer.address || 'none: it dials this node'}</dd>
          <dt>Version</dt>
          <dd className="data">{peer.version || 'not told'}</dd>
          <dt>Certificate</dt>
          <dd>
            <span className={`fresh ${certificateTone(peer.certificateExpiresAt, atMs)}`}>
              {certificateText(peer.certificateExpiresAt, atMs)}
            </span>
            {peer.certificateExpiresAt === null ? '' : `, until ${at(peer.certificateExpiresAt)}`}
          </dd>
          <dt>Replicas</dt>
          <dd>{replicationText(peer.replication) || 'none besides it'}</dd>
          <dt>Labels</dt>
          <dd>
            {labels.length === 0
              ? 'none'
              : labels.map(([name, value]) => (
                  <code key={name} className="peerLabel">
                    {name}=&quot;{value}&quot;
                  </code>
                ))}
          </dd>
        </dl>
        <div className="peerHolds" tabIndex={0} role="region" aria-label="What it holds">
          <table className="grid">
            <thead>
              <tr>
                <th scope="col">Signal</th>
                <th scope="col">Holds from</th>
                <th scope="col">Complete up to</th>
                <th scope="col">Behind</th>
              </tr>
            </thead>
            <tbody>
              {sortSignals(peer.signals).map((one) => {
                const lag = one.watermark === null ? null : Math.max(0, atMs / 1e3 - one.watermark);
                return (
                  <tr key={one.signal}>
                    <th scope="row">{one.signal}</th>
                    <td className="data">{at(one.oldest)}</td>
                    <td className="data">{at(one.watermark)}</td>
                    <td>
                      <span className={`fresh ${toneOfAge(lag)}`}>{lag === null ? 'not told' : formatSpan(lag)}</span>
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
          {peer.signals.length === 0 ? <p className="soft">It has not said what it holds.</p> : null}
        </div>
      </div>
    </section>
  );
}
