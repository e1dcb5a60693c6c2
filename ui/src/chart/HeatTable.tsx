/** The table twin of a heat map: a row per step, newest first; the file has every bucket. */
import { useMemo } from 'react';
import type { Series } from '../api/prom';
import { boundsText, type Heat, quantileOf, toHeat } from '../lib/heat';
import { type Gap, lackingAt, lackingText } from '../lib/gaps';
import type { Range, Zone } from '../lib/time';
import { formatDateTime } from '../lib/timeformat';
import { formatCount, formatValue, type Unit } from '../lib/units';
import { GapList } from './GapList';
import { CsvButton } from '../parts/CsvButton';
import { VirtualTable } from '../parts/VirtualTable';

interface Props {
  title: string;
  series: readonly Series[];
  /** Where the series are not of a kind that `toHeat` knows. */
  heat?: Heat | undefined;
  unit: Unit;
  countUnit: Unit;
  zone: Zone;
  range: Range;
  gaps?: readonly Gap[] | undefined;
}

const QUANTILES = [0.5, 0.9, 0.99] as const;
const NO_GAPS: readonly Gap[] = [];
const COLUMNS = [
  { key: 'time', title: 'Time', width: '150px' },
  { key: 'count', title: 'Count', width: '90px', align: 'right' as const },
  ...QUANTILES.map((q) => ({ key: `p${q}`, title: `p${q * 100}`, width: '84px', align: 'right' as const })),
  { key: 'most', title: 'Fullest bucket', width: 'minmax(160px, 1fr)' },
  { key: 'buckets', title: 'Buckets', width: '76px', align: 'right' as const },
];

export function HeatTable({ title, series, heat: given, unit, countUnit, zone, range, gaps = NO_GAPS }: Props) {
  const heat = useMemo(() => given ?? toHeat(series), [given, series]);
  const columns = heat?.columns ?? [];
  const header = gaps.length > 0 ? [...COLUMNS, LACKING] : COLUMNS;
  const format = (value: number) => formatValue(value, unit);
  const csv = () => ({
    header: ['time', 'low', 'high', 'count', ...(gaps.length > 0 ? ['not_in_it'] : [])],
    rows: columns.flatMap((one) =>
      one.cells.map((cell) => [
        new Date(one.time * 1e3).toISOString(),
        cell.low,
        cell.high,
        cell.count,
        ...(gaps.length > 0 ? [lackingText(lackingAt(gaps, one.time * 1e3))] : []),
      ]),
    ),
  });
  return (
    <div className="valueTable">
      <div className="row valueTableHead">
        <span className="soft">{formatCount(columns.length)} instants; the file has every bucket</span>
        <span className="grow" />
        <CsvButton name={title} make={csv} />
      </div>
      <GapList gaps={gaps} range={range} zone={zone} />
      <VirtualTable
        label={`${title}, values`}
        columns={header}
        count={columns.length}
        height={320}
        cell={(row, at) => {
          const one = columns[columns.length - 1 - row];
          if (!one || !heat) return '';
          if (at === COLUMNS.length) return lackingText(lackingAt(gaps, one.time * 1e3)) || '–';
          if (at === 0) return formatDateTime(one.time * 1e3, zone);
          if (at === 1) return formatValue(one.count, countUnit);
          if (at === COLUMNS.length - 1) return formatCount(one.cells.length);
          const q = QUANTILES[at - 2];
          if (q !== undefined) {
            const value = quantileOf(one, q, heat.kind);
            return value === null ? '–' : format(value);
          }
          const fullest = one.cells.reduce(
            (best, cell) => (cell.count > best.count ? cell : best),
            one.cells[0] ?? NONE,
          );
          return fullest === NONE ? '–' : `${boundsText(fullest, format)}: ${formatValue(fullest.count, countUnit)}`;
        }}
      />
    </div>
  );
}

const LACKING = { key: 'gaps', title: 'Not in it', width: 'minmax(120px, 1fr)' };
const NONE = { low: 0, high: 0, bounds: 0, count: 0 };
