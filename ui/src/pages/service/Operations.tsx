/** The operations of a service: a row each, with a curve; a click on one makes the charts about it. */
import { Link, useSearch } from '@tanstack/react-router';
import { adviceOn } from '../../lib/advice';
import { callsQuery, type Operation, type Subject } from '../../lib/spanmetrics';
import type { Cell } from '../../lib/sorting';
import { promDuration } from '../../lib/steps';
import { formatDurationUs } from '../../lib/timeformat';
import { quoteTrace } from '../../lib/traceql';
import { formatCount, formatShare, formatValue } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { type Head, SortedTable } from '../../parts/SortedTable';
import { SparkRate } from '../../parts/SparkRate';
import type { CommonSearch } from '../../state/search';
import { pickCommon, usePatch } from '../../state/view';
import { useOperations } from './useService';

const HEADS: readonly Head[] = [
  { key: 'name', title: 'Operation', width: 'minmax(150px, 1fr)' },
  { key: 'rate', title: 'Rate', width: '84px', isNumber: true },
  { key: 'curve', title: 'Over the range', width: '118px', isPicture: true },
  { key: 'errors', title: 'Errors', width: '84px', isNumber: true },
  { key: 'p50', title: 'p50', width: '74px', isNumber: true },
  { key: 'p95', title: 'p95', width: '74px', isNumber: true },
  { key: 'p99', title: 'p99', width: '74px', isNumber: true },
  { key: 'traces', title: 'Traces', width: '54px', isPicture: true },
];

export function Operations({ subject, step }: { subject: Subject; step: number }) {
  const search = useSearch({ from: '/services/$name' });
  const patch = usePatch();
  const { rows, error, refetch } = useOperations(subject);
  const window = promDuration(Math.max(300, 2 * step));
  const of = (row: Operation, key: string): Cell =>
    key === 'errors' ? (row.rate > 0 ? row.failed / row.rate : 0) : row[key as 'name' | 'rate' | 'p50' | 'p95' | 'p99'];
  return (
    <section className="panel serviceOperations" aria-label="Operations">
      {error ? <Problem error={error} advice={adviceOn(error)} onRetry={refetch} /> : null}
      <SortedTable
        label="Operations"
        file={`operations-${subject.service}`}
        heads={HEADS}
        rows={rows ?? []}
        sort={search.sort}
        usual="-rate"
        height="fill"
        leastPx={700}
        note={<span className="soft">{rows ? formatCount(rows.length) : ''}</span>}
        of={of}
        keyOf={(row) => row.name}
        show={(row, key) => {
          if (key === 'name') {
            return (
              <button
                type="button"
                className="linkish clip"
                aria-pressed={search.op === row.name}
                title={row.name}
                onClick={() => patch({ op: search.op === row.name ? undefined : row.name })}
              >
                {row.name || 'no name'}
              </button>
            );
          }
          if (key === 'curve') {
            const one = { ...subject, operation: row.name };
            return <SparkRate expr={callsQuery(one, 'span_name', window)} stepSeconds={step} />;
          }
          if (key === 'traces') {
            const q = `{ resource.service.name = ${quoteTrace(subject.service)} && name = ${quoteTrace(row.name)} }`;
            return (
              <Link
                to="/traces"
                search={(before: CommonSearch) => ({ ...pickCommon(before), q })}
                className="cellLink"
                aria-label={`traces of ${row.name}`}
              >
                traces
              </Link>
            );
          }
          const cell = of(row, key);
          if (key === 'rate') return formatValue(row.rate, 'ps');
          if (key === 'errors') {
            return typeof cell === 'number' && cell > 0 ? <span className="bad">✖ {formatShare(cell)}</span> : '0 %';
          }
          return typeof cell === 'number' ? formatDurationUs(cell * 1e6) : '–';
        }}
      />
    </section>
  );
}
