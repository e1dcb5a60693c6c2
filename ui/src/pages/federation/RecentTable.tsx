/** Recent answers that were not whole: when, who, and why. */
import type { Lack } from '../../api/federation';
import { adviceFor } from '../../lib/coverage';
import { lackName } from '../../lib/peers';
import { formatDateTime } from '../../lib/timeformat';
import { formatCount } from '../../lib/units';
import { VirtualTable } from '../../parts/VirtualTable';
import { TONES } from '../../shell/CoverageTable';
import { useView } from '../../state/view';

const COLUMNS = [
  { key: 'at', title: 'At', width: '150px' },
  { key: 'peer', title: 'Peer', width: 'minmax(120px, 1fr)' },
  { key: 'signal', title: 'Signal', width: '80px' },
  { key: 'state', title: 'State', width: '80px' },
  { key: 'reason', title: 'Reason', width: 'minmax(200px, 3fr)' },
];

export function RecentTable({ rows, of }: { rows: readonly Lack[]; of: string | undefined }) {
  const { zone } = useView();
  return (
    <section className="panel peers" aria-label="Recent answers that were not whole">
      <div className="row peersHead">
        <h2>Recent answers that were not whole</h2>
        <span className="soft">
          {formatCount(rows.length)}
          {of ? ` lacked ${of}` : ''}, the newest first
        </span>
      </div>
      {rows.length === 0 ? (
        <p className="peersNote soft">
          {of ? `No recent answer lacked ${of}.` : 'Every recent answer had all that was asked for.'}
        </p>
      ) : (
        <VirtualTable
          label="Recent answers that were not whole"
          columns={COLUMNS}
          count={rows.length}
          fit
          leastPx={560}
          height={260}
          cell={(index, column) => {
            const row = rows[index];
            if (!row) return '';
            switch (COLUMNS[column]?.key) {
              case 'at':
                return <span className="data">{formatDateTime(row.at * 1e3, zone)}</span>;
              case 'peer':
                return lackName(row);
              case 'signal':
                return row.signal;
              case 'state':
                return <span className={`tag ${TONES[row.state]}`}>{row.state}</span>;
              default:
                return <span title={adviceFor(row)}>{row.reason || '–'}</span>;
            }
          }}
        />
      )}
    </section>
  );
}
