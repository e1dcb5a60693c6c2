/** The table twin of a time chart: a row per instant, newest first, a column per series. */
import { useMemo } from 'react';
import { CsvButton } from '../parts/CsvButton';
import { VirtualTable } from '../parts/VirtualTable';
import type { Columns } from '../lib/series';
import type { Zone } from '../lib/time';
import { formatDateTime } from '../lib/timeformat';
import { formatValue, type Unit } from '../lib/units';

interface Props {
  title: string;
  names: readonly string[];
  columns: Columns;
  unit: Unit;
  zone: Zone;
  height: number;
}

/** Columns beyond this make a row nobody can read; the file has them all. */
const SHOWN_COLUMNS = 24;

export function ValueTable({ title, names, columns, unit, zone, height }: Props) {
  const times = columns[0];
  const shown = names.slice(0, SHOWN_COLUMNS);
  const header = useMemo(
    () => [
      { key: 'time', title: 'Time', width: '150px' },
      ...shown.map((name, i) => ({ key: String(i), title: name, width: 'minmax(90px, 1fr)', align: 'right' as const })),
    ],
    [shown],
  );
  const csv = () => ({
    header: ['time', ...names],
    rows: times.map((time, i) => [
      new Date(time * 1e3).toISOString(),
      ...columns.slice(1).map((column) => column[i] ?? null),
    ]),
  });
  return (
    <div className="valueTable">
      <div className="row valueTableHead">
        <span className="soft">
          {times.length} instants
          {names.length > shown.length ? `, showing ${shown.length} of ${names.length} series` : ''}
        </span>
        <span className="grow" />
        <CsvButton name={title} make={csv} />
      </div>
      <VirtualTable
        label={`${title}, values`}
        columns={header}
        count={times.length}
        height={height}
        cell={(row, column) => {
          const i = times.length - 1 - row;
          if (column === 0) return formatDateTime((times[i] ?? 0) * 1e3, zone);
          const value = columns[column]?.[i];
          return value === null || value === undefined ? '–' : formatValue(value, unit);
        }}
      />
    </div>
  );
}
