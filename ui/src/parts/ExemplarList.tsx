/** The exemplars of a chart as rows, each with a link to its trace: the marks' twin for keyboards and readers. */
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { describeExemplar } from '../lib/exemplars';
import { varyingLabels } from '../lib/series';
import { formatDateTimeMs } from '../lib/timeformat';
import { formatCount, formatValue, type Unit } from '../lib/units';
import type { Exemplars } from '../state/exemplars';
import type { CommonSearch } from '../state/search';
import { pickCommon, usePatch, useView } from '../state/view';
import { VirtualTable } from './VirtualTable';

const COLUMNS = [
  { key: 'time', title: 'Time', width: '178px' },
  { key: 'value', title: 'Value', width: '90px', align: 'right' as const },
  { key: 'trace', title: 'Trace', width: 'minmax(150px, 280px)' },
  { key: 'labels', title: 'Labels', width: 'minmax(160px, 1fr)' },
];

export function ExemplarList({ exemplars, unit, title }: { exemplars: Exemplars; unit: Unit; title: string }) {
  const { zone } = useView();
  const search: { ex?: 'on' | 'list' | undefined } = useSearch({ strict: false });
  const opened = search.ex === 'list';
  const patch = usePatch();
  const { shown, total } = exemplars;
  const varying = useMemo(() => varyingLabels(shown.map((one) => ({ labels: one.series }))), [shown]);
  if (exemplars.error) return <p className="exemplarNote bad">Exemplars: {exemplars.error.message}</p>;
  if (exemplars.loading) return <p className="exemplarNote soft">Looking for exemplars</p>;
  if (total === 0) {
    const said = exemplars.infos.join('; ');
    return (
      <p className="exemplarNote soft">
        No exemplars in this range{said ? `: ${said}` : '. Senders attach them to histograms and counters.'}
      </p>
    );
  }
  return (
    <div className="exemplars">
      <button
        type="button"
        className="linkish"
        aria-expanded={opened}
        onClick={() => patch({ ex: opened ? 'on' : 'list' }, 'replace')}
      >
        {shown.length < total
          ? `${shown.length} of ${formatCount(total)} exemplars`
          : `${formatCount(total)} exemplars`}
        {opened ? ', hide the list' : ', list them'}
      </button>
      {opened ? (
        <VirtualTable
          label={`Exemplars of ${title}`}
          columns={COLUMNS}
          count={shown.length}
          height={190}
          cell={(row, column) => {
            const one = shown[row];
            if (!one) return '';
            if (column === 0) return <span className="num">{formatDateTimeMs(one.time * 1e3, zone)}</span>;
            if (column === 1) return formatValue(one.value, unit);
            if (column === 2) {
              return one.traceId ? (
                <Link
                  to="/trace/$id"
                  params={{ id: one.traceId }}
                  search={(before: CommonSearch) => pickCommon(before)}
                  className="data"
                >
                  {one.traceId}
                </Link>
              ) : (
                '–'
              );
            }
            const rows = describeExemplar(one, varying).filter(([, value]) => value.toLowerCase() !== one.traceId);
            return <span className="data">{rows.map(([name, value]) => `${name}=${value}`).join('  ')}</span>;
          }}
        />
      ) : null}
    </div>
  );
}
