/** A row per peer: link, what it holds, certificate, how fast and how often it answered. */
import type { Peer } from '../../api/federation';
import { toneOfAge } from '../../lib/fleet';
import { certificateText, certificateTone, lackShare, lagOf, LINKS, peerName } from '../../lib/peers';
import { formatDateTime, formatSpan } from '../../lib/timeformat';
import { formatCount, formatValue } from '../../lib/units';
import { VirtualTable } from '../../parts/VirtualTable';
import { useView } from '../../state/view';

interface Props {
  peers: readonly Peer[];
  atMs: number;
  open: string | undefined;
  onOpen: (peer: string | undefined) => void;
}

const COLUMNS = [
  { key: 'peer', title: 'Peer', width: 'minmax(170px, 1.4fr)' },
  { key: 'link', title: 'Link', width: 'minmax(190px, 2fr)' },
  { key: 'lag', title: 'Furthest behind', width: '112px' },
  { key: 'certificate', title: 'Certificate', width: '130px' },
  { key: 'p50', title: 'p50', width: '74px', align: 'right' as const },
  { key: 'p99', title: 'p99', width: '74px', align: 'right' as const },
  { key: 'asked', title: 'Asked', width: '84px', align: 'right' as const },
  { key: 'lack', title: 'Not whole', width: '150px', align: 'right' as const },
  { key: 'version', title: 'Version', width: '96px' },
];
const ROW_PX = 42;
const HEIGHT = 380;
const LEAST_PX = 1060;

export function PeerTable({ peers, atMs, open, onOpen }: Props) {
  const { zone } = useView();
  return (
    <VirtualTable
      label="Peers"
      columns={COLUMNS}
      count={peers.length}
      height={HEIGHT}
      rowPx={ROW_PX}
      fit
      leastPx={LEAST_PX}
      keyOf={(row) => {
        const peer = peers[row];
        return peer ? `${peerName(peer)} ${peer.address}` : String(row);
      }}
      current={peers.findIndex((peer) => peerName(peer) === open)}
      cell={(row, column) => {
        const peer = peers[row];
        if (!peer) return '';
        switch (COLUMNS[column]?.key) {
          case 'peer':
            return <Name peer={peer} open={open === peerName(peer)} onOpen={onOpen} />;
          case 'link':
            return <LinkCell peer={peer} atMs={atMs} />;
          case 'lag': {
            const lag = lagOf(peer, atMs);
            return <span className={`fresh ${toneOfAge(lag)}`}>{lag === null ? 'not told' : formatSpan(lag)}</span>;
          }
          case 'certificate':
            return (
              <span
                className={`fresh ${certificateTone(peer.certificateExpiresAt, atMs)}`}
                title={
                  peer.certificateExpiresAt === null
                    ? undefined
                    : `until ${formatDateTime(peer.certificateExpiresAt * 1e3, zone)}`
                }
              >
                {certificateText(peer.certificateExpiresAt, atMs)}
              </span>
            );
          case 'p50':
            return peer.p50 === null ? '–' : formatValue(peer.p50, 'seconds');
          case 'p99':
            return peer.p99 === null ? '–' : formatValue(peer.p99, 'seconds');
          case 'asked':
            return peer.asked === null ? '–' : formatCount(peer.asked);
          case 'lack':
            return <Lack peer={peer} />;
          default:
            return <span className="data">{peer.version || '–'}</span>;
        }
      }}
    />
  );
}

function Name({ peer, open, onOpen }: { peer: Peer; open: boolean; onOpen: Props['onOpen'] }) {
  const name = peerName(peer);
  return (
    <div className="peerCell">
      <button
        type="button"
        className="linkish clip peerName"
        aria-pressed={open}
        onClick={() => onOpen(open ? undefined : name)}
      >
        {name}
      </button>
      <span className="faint clip">
        {peer.kind === 'orrery' ? '' : `${peer.kind} · `}
        {peer.direction === 'in' ? 'dials us' : peer.address || 'no address'}
      </span>
    </div>
  );
}

function LinkCell({ peer, atMs }: { peer: Peer; atMs: number }) {
  const look = LINKS[peer.state];
  const since = peer.since === null ? null : Math.max(0, atMs / 1e3 - peer.since);
  return (
    <div className="peerCell" title={[look.says, peer.lastError].filter(Boolean).join('\n')}>
      <span>
        <span className={`fresh ${look.tone}`}>{look.word}</span>
        {since === null ? null : <span className="faint"> for {formatSpan(since)}</span>}
      </span>
      <span className="clip soft">{look.tone === 'good' ? '' : peer.lastError}</span>
    </div>
  );
}

function Lack({ peer }: { peer: Peer }) {
  const share = lackShare(peer);
  if (share === null) return <span className="faint">–</span>;
  const lacked = (peer.missing ?? 0) + (peer.partial ?? 0);
  return (
    <span className={lacked === 0 ? 'soft' : share > 0.05 ? 'bad' : 'warn'}>
      {lacked === 0 ? 'never' : `${formatCount(peer.missing ?? 0)} missing, ${formatCount(peer.partial ?? 0)} partial`}
    </span>
  );
}
