/** Names by how many series they have, with the share as a bar behind the number; a click narrows the scope. */
import { formatCount } from '../../lib/units';
import { CsvButton } from '../../parts/CsvButton';
import { Name } from '../../parts/Name';
import { VirtualTable } from '../../parts/VirtualTable';
import { CloseIcon } from '../../shell/icons';

export interface RankRow {
  key: string;
  count: number;
  onOpen: () => void;
}

interface Props {
  title: string;
  subject: string;
  rows: readonly RankRow[];
  total: number;
  /** Rows there are beyond those shown. */
  more: number;
  note?: string | undefined;
  loading: boolean;
  onClose?: () => void;
}

export function RankTable({ title, subject, rows, total, more, note, loading, onClose }: Props) {
  const columns = [
    { key: 'name', title: subject.charAt(0).toUpperCase() + subject.slice(1), width: 'minmax(0, 1fr)' },
    { key: 'count', title: 'Series', width: '84px', align: 'right' as const },
    { key: 'share', title: 'Share', width: '110px' },
  ];
  return (
    <section className="panel rank" aria-label={title}>
      <div className="row rankHead">
        <h2>{title}</h2>
        <span className="faint">
          {note ?? ''}
          {more > 0 ? `${formatCount(more)} more not listed` : ''}
        </span>
        <span className="grow" />
        <CsvButton
          name={title}
          make={() => ({ header: [subject, 'series'], rows: rows.map((one) => [one.key, one.count]) })}
        />
        {onClose ? (
          <button type="button" className="btn quiet" aria-label={`Close ${title}`} onClick={onClose}>
            <CloseIcon />
          </button>
        ) : null}
      </div>
      {rows.length === 0 ? (
        <p className="soft rankNone">{loading ? 'Counting' : 'None in this scope.'}</p>
      ) : (
        <VirtualTable
          label={title}
          columns={columns}
          count={rows.length}
          height="fill"
          fit
          keyOf={(row) => rows[row]?.key ?? String(row)}
          cell={(row, column) => {
            const one = rows[row];
            if (!one) return '';
            if (column === 0) {
              return (
                <button type="button" className="linkish rankName data" title={`Only ${one.key}`} onClick={one.onOpen}>
                  <Name>{one.key}</Name>
                </button>
              );
            }
            return column === 1 ? formatCount(one.count) : <Share of={total > 0 ? one.count / total : 0} />;
          }}
        />
      )}
    </section>
  );
}

export function Share({ of }: { of: number }) {
  const share = Math.min(1, Math.max(0, of));
  return (
    <span className="share">
      <span className="shareBar" aria-hidden="true">
        <span style={{ width: `${share * 100}%` }} />
      </span>
      <span className="num soft">{share >= 0.0995 ? Math.round(share * 100) : (share * 100).toFixed(1)} %</span>
    </span>
  );
}
