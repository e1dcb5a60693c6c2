/** The table twin of a time chart: a row per instant, newest first, a column per series. */
import { useMemo } from 'react';
import { GapList } from './GapList';
import { type Gap, lackingAt, lackingText } from '../lib/gaps';
import { CsvButton } from '../parts/CsvButton';
import { VirtualTable } from '../parts/VirtualTable';
import type { Columns } from '../lib/series';
import type { Range, Zone } from '../lib/time';
import { formatDateTime } from '../lib/timeformat';
import { formatValue, type Unit } from '../lib/units';

interface Props {
  title: string;
  names: readonly string[];
  columns: Columns;
  unit: Unit;
  zone: Zone;
  height: number;
  range: Range;
  /** What the answer lacks: a column names it for every instant. */
  gaps?: readonly Gap[] | undefined;
}

/** Columns beyond this make a row nobody can read; the file has them all. */
const SHOWN_COLUMNS = 24;
const NO_GAPS: readonly Gap[] = [];

export function ValueTable({ title, names, columns, unit, zone, height, range, gaps = NO_GAPS }: Props) {
  const times = columns[0];
  const shown = names.slice(0, SHOWN_COLUMNS);
  const header = useMemo(
    () => [
      { key: 'time', title: 'Time', width: '150px' },
      ...shown.map((name, i) => ({ key: String(i), title: name, width: 'minmax(90px, 1fr)', align: 'right' as const })),
      ...(gaps.length > 0 ? [{ key: 'gaps', title: 'Not in it', width: 'minmax(120px, 1fr)' }] : []),
    ],
    [shown, gaps],
  );
  const csv = () => ({
    header: ['time', ...names, ...(gaps.length > 0 ? ['not_in_it'] : [])],
    rows: times.map((time, i) => [
      new Date(time * 1e3).toISOString(),
      ...columns.slice(1).map((column) => column[i] ?? null),
      ...(gaps.length > 0 ? [lackingText(lackingAt(gaps, time * 1e3))] : []),
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
      <GapList gaps={gaps} range={range} zone={zone} />
      <VirtualTable
        label={`${title}, values`}
        columns={header}
        count={times.length}
        height={height}
        cell={(row, column) => {
          const i = times.length - 1 - row;
          const lacking = column === shown.length + 1;
          if (lacking) return lackingText(lackingAt(gaps, (times[i] ?? 0) * 1e3)) || '–';
          if (column === 0) return formatDateTime((times[i] ?? 0) * 1e3, zone);
          const value = columns[column]?.[i];
          return value === null || value === undefined ? '–' : formatValue(value, unit);
        }}
      />
    </div>
  );
}
