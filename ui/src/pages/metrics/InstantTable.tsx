/** The answer at the end of the range: a column per label that varies, the value last. */
import { useMemo, useState } from 'react';
import type { Series } from '../../api/prom';
import { seriesName, varyingLabels } from '../../lib/series';
import { formatDateTime } from '../../lib/timeformat';
import { formatValue, guessUnit } from '../../lib/units';
import { CsvButton } from '../../parts/CsvButton';
import { VirtualTable } from '../../parts/VirtualTable';
import { useView } from '../../state/view';

interface Props {
  title: string;
  expr: string;
  series: readonly Series[];
  atMs: number;
}

/** Label columns beyond this push the value off the screen. */
const LABEL_COLUMNS = 8;

export function InstantTable({ title, expr, series, atMs }: Props) {
  const { zone } = useView();
  const [descending, setDescending] = useState<boolean | null>(null);
  const unit = guessUnit(expr);
  const labels = useMemo(() => pickLabels(series), [series]);
  const rows = useMemo(() => {
    if (descending === null) return series;
    const sign = descending ? -1 : 1;
    return [...series].sort((a, b) => sign * ((a.values[0] ?? NaN) - (b.values[0] ?? NaN)));
  }, [series, descending]);
  const columns = [
    ...(labels.length === 0 ? [{ key: 'series', title: 'Series', width: 'minmax(240px, 4fr)' }] : []),
    ...labels.map((label) => ({ key: label, title: label, width: 'minmax(110px, 1fr)' })),
    {
      key: ' value',
      title: 'Value',
      width: '120px',
      align: 'right' as const,
      onSort: () => setDescending((was) => (was === null ? true : was ? false : null)),
      sort: descending === null ? undefined : descending ? ('descending' as const) : ('ascending' as const),
    },
    { key: ' raw', title: 'Exact', width: '170px', align: 'right' as const },
  ];
  const csv = () => {
    const all = [...new Set(series.flatMap((one) => Object.keys(one.labels)))].sort();
    return {
      header: [...all, 'value'],
      rows: rows.map((one) => [...all.map((label) => one.labels[label] ?? ''), String(one.values[0] ?? '')]),
    };
  };
  return (
    <>
      <div className="row valueTableHead">
        <span className="soft">At {formatDateTime(atMs, zone)}</span>
        <span className="grow" />
        <CsvButton name={title} make={csv} />
      </div>
      <VirtualTable
        label={`${title}, at one instant`}
        columns={columns}
        count={rows.length}
        height={420}
        cell={(row, column) => {
          const one = rows[row];
          if (!one) return '';
          const value = one.values[0] ?? NaN;
          if (column === columns.length - 1) return <span className="data soft">{String(value)}</span>;
          if (column === columns.length - 2) return formatValue(value, unit);
          const label = labels[column];
          return (
            <span className="data" title={seriesName(one.labels)}>
              {label ? (one.labels[label] ?? '') : seriesName(one.labels)}
            </span>
          );
        }}
      />
    </>
  );
}

function pickLabels(series: readonly Series[]): string[] {
  const varying = varyingLabels(series);
  return varying.length > 0 ? varying.slice(0, LABEL_COLUMNS) : [];
}
