/** A table of any length in the order of a column that the address names, with a file of the same. */
import { type Cell, nextSort, readSort, sortRows } from '../lib/sorting';
import { usePatch } from '../state/view';
import { CsvButton } from './CsvButton';
import { VirtualTable } from './VirtualTable';

/** Room for a link of the size that fingers need. */
const ROW_PX = 28;

export interface Head {
  key: string;
  title: string;
  width: string;
  isNumber?: boolean;
  /** Drawn, not sorted by and not in the file. */
  isPicture?: boolean;
}

interface Props<T> {
  label: string;
  heads: readonly Head[];
  rows: readonly T[];
  /** `sort` of the address. */
  sort: string | undefined;
  /** Its order where the address names none. */
  usual: string;
  of: (row: T, key: string) => Cell;
  keyOf: (row: T) => string;
  show: (row: T, key: string) => React.ReactNode;
  height: number | 'fill';
  leastPx?: number;
  /** Beside the name of the table. */
  note?: React.ReactNode;
  file: string;
}

export function SortedTable<T>({ label, heads, rows, usual, of, keyOf, show, ...more }: Props<T>) {
  const patch = usePatch();
  const keys = heads.filter((head) => !head.isPicture).map((head) => head.key);
  const sort = readSort(more.sort, keys, usual);
  const sorted = sortRows(rows, sort, of);
  return (
    <>
      <div className="row sortedHead">
        <h2>{label}</h2>
        {more.note}
        <span className="grow" />
        <CsvButton
          name={more.file}
          make={() => ({ header: keys, rows: sorted.map((row) => keys.map((key) => of(row, key))) })}
        />
      </div>
      <VirtualTable
        label={label}
        fit
        leastPx={more.leastPx ?? 620}
        height={more.height}
        count={sorted.length}
        rowPx={ROW_PX}
        columns={heads.map(({ key, title, width, isNumber, isPicture }) => ({
          key,
          title,
          width,
          ...(isNumber ? { align: 'right' as const } : {}),
          ...(isPicture
            ? {}
            : {
                sort:
                  sort.key === key ? (sort.isDescending ? ('descending' as const) : ('ascending' as const)) : undefined,
                onSort: () => patch({ sort: nextSort(sort, key, isNumber === true, usual) }, 'replace'),
              }),
        }))}
        keyOf={(i) => {
          const row = sorted[i];
          return row ? keyOf(row) : String(i);
        }}
        cell={(i, column) => {
          const [row, head] = [sorted[i], heads[column]];
          return row && head ? show(row, head.key) : '';
        }}
      />
    </>
  );
}
