/** Labels by how many values they have, what they weigh, and what leaving each out would save. */
import type { TsdbStatus } from '../../api/tsdb';
import type { Analysis, LabelCount } from '../../lib/cardinality';
import { formatBytes, formatCount } from '../../lib/units';
import { CsvButton } from '../../parts/CsvButton';
import { VirtualTable } from '../../parts/VirtualTable';

export type LabelSort = 'values' | 'series' | 'bytes' | 'saves';

interface Props {
  found: Analysis | undefined;
  status: TsdbStatus | null;
  sort: LabelSort;
  drop: readonly string[];
  open: string | undefined;
  truncated: boolean;
  onOpen: (label: string) => void;
  onSort: (sort: LabelSort) => void;
  onDrop: (labels: string[]) => void;
}

const NUMBERS = ['values', 'series', 'bytes', 'saves'] as const;
const TITLES = { values: 'Values', series: 'Series', bytes: 'Bytes', saves: 'Saves' } as const;

export function LabelTable({ found, status, sort, drop, open, truncated, onOpen, onSort, onDrop }: Props) {
  const rows = merge(found, truncated ? status : null).sort((a, b) => b[sort] - a[sort] || (a.name < b.name ? -1 : 1));
  const columns = [
    { key: 'drop', title: <span className="srOnly">Leave out</span>, width: '24px' },
    { key: 'name', title: 'Label', width: 'minmax(0, 1fr)' },
    ...NUMBERS.map((key) => ({
      key,
      title: TITLES[key],
      width: key === 'bytes' ? '66px' : '58px',
      align: 'right' as const,
      sort: sort === key ? ('descending' as const) : undefined,
      onSort: () => onSort(key),
    })),
  ];
  return (
    <section className="panel rank" aria-label="Labels">
      <div className="row rankHead">
        <h2>Labels</h2>
        <span className="faint">tick labels to see what leaving them out saves</span>
        <span className="grow" />
        <CsvButton
          name="labels"
          make={() => ({
            header: ['label', ...NUMBERS],
            rows: rows.map((one) => [one.name, ...NUMBERS.map((key) => one[key])]),
          })}
        />
      </div>
      {rows.length === 0 ? (
        <p className="soft rankNone">{found ? 'None in this scope.' : 'Counting'}</p>
      ) : (
        <VirtualTable
          label="Labels"
          columns={columns}
          count={rows.length}
          height="fill"
          fit
          keyOf={(row) => rows[row]?.name ?? String(row)}
          current={open === undefined ? undefined : rows.findIndex((one) => one.name === open)}
          cell={(row, column) => {
            const one = rows[row];
            if (!one) return '';
            if (column === 0) {
              const on = drop.includes(one.name);
              return (
                <input
                  type="checkbox"
                  aria-label={`Leave out ${one.name}`}
                  checked={on}
                  onChange={() => onDrop(on ? drop.filter((name) => name !== one.name) : [...drop, one.name])}
                />
              );
            }
            if (column === 1) {
              return (
                <button
                  type="button"
                  className="linkish rankName data"
                  title={`Values of ${one.name}`}
                  onClick={() => onOpen(one.name)}
                >
                  {one.name}
                </button>
              );
            }
            const key = NUMBERS[column - 2] ?? 'values';
            if (key === 'saves') return one.saves > 0 ? formatCount(one.saves) : <span className="faint">0</span>;
            return key === 'bytes' ? formatBytes(one.bytes) : formatCount(one[key]);
          }}
        />
      )}
    </section>
  );
}

/** Where not all series were read, the store's counts of values and bytes are the true ones. */
function merge(found: Analysis | undefined, status: TsdbStatus | null): LabelCount[] {
  const values = new Map(status?.valuesByLabel.map((one) => [one.name, one.count]));
  const bytes = new Map(status?.bytesByLabel.map((one) => [one.name, one.count]));
  return (found?.labels ?? []).map((one) => ({
    ...one,
    values: values.get(one.name) ?? one.values,
    bytes: bytes.get(one.name) ?? one.bytes,
  }));
}
