/** The table twin of the waterfall. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { formatDurationUs } from '../../lib/timeformat';
import { CsvButton } from '../../parts/CsvButton';
import { VirtualTable } from '../../parts/VirtualTable';
import { usePatch } from '../../state/view';
import type { TraceModel } from './useTraceModel';

interface Props {
  model: TraceModel;
  rows: readonly number[];
  selected: number;
  onSelect: (index: number) => void;
}

const SORTS = ['start', 'duration', 'self', 'critical'] as const;
type Sort = (typeof SORTS)[number];

export function SpanTable({ model, rows, selected, onSelect }: Props) {
  const { trace, self, onPath } = model;
  const search = useSearch({ from: '/trace/$id' });
  const patch = usePatch();
  const by = SORTS.find((one) => one === search.sort);
  const sorted = useMemo(() => sortRows(rows, by, model), [rows, by, model]);
  const many = trace.clusters.length > 1;
  const order = (key: Sort) => ({
    onSort: () => patch({ sort: by === key ? undefined : key }, 'replace'),
    sort: by === key ? (key === 'start' ? ('ascending' as const) : ('descending' as const)) : undefined,
  });
  const columns = [
    { key: 'service', title: 'Service', width: 'minmax(120px, 1fr)' },
    ...(many ? [{ key: 'cluster', title: 'Cluster', width: 'minmax(90px, 0.6fr)' }] : []),
    { key: 'operation', title: 'Operation', width: 'minmax(200px, 3fr)' },
    { key: 'start', title: 'Start', width: '90px', align: 'right' as const, ...order('start') },
    { key: 'duration', title: 'Duration', width: '90px', align: 'right' as const, ...order('duration') },
    { key: 'self', title: 'Self', width: '90px', align: 'right' as const, ...order('self') },
    { key: 'critical', title: 'Critical', width: '90px', align: 'right' as const, ...order('critical') },
    { key: 'kind', title: 'Kind', width: '80px' },
    { key: 'state', title: 'State', width: '70px' },
  ];
  const csv = () => ({
    header: ['span', 'parent', 'service', 'cluster', 'operation', 'kind', 'start_us', 'duration_us', 'self_us', 'critical_us', 'error'], // prettier-ignore
    rows: sorted.flatMap((index) => {
      const span = trace.spans[index];
      if (!span || span.missing) return [];
      const parent = trace.spans[span.parent]?.id ?? '';
      const times = [trace.startUs + span.startUs, span.durationUs, self[index] ?? 0, onPath[index] ?? 0];
      return [[span.id, parent, span.service, span.cluster, span.operation, span.kind, ...times, String(span.error)]];
    }),
  });
  return (
    <>
      <VirtualTable
        label="Spans"
        columns={columns}
        count={sorted.length}
        height="fill"
        current={sorted.indexOf(selected)}
        onRow={(row) => onSelect(sorted[row] ?? -1)}
        cell={(row, column) => {
          const index = sorted[row] ?? -1;
          const span = trace.spans[index];
          if (!span) return '';
          switch (columns[column]?.key) {
            case 'service':
              return span.service;
            case 'cluster':
              return span.cluster || '–';
            case 'operation':
              return (
                <button
                  type="button"
                  className={span.missing ? 'spanName warn' : 'spanName'}
                  style={{ paddingLeft: by === undefined ? Math.min(span.depth, 16) * 10 : 0 }}
                  onClick={() => onSelect(index)}
                >
                  {span.missing ? `missing span ${span.id}: ${span.below} below it` : span.operation}
                </button>
              );
            case 'start':
              return formatDurationUs(span.startUs);
            case 'duration':
              return span.missing ? '–' : formatDurationUs(span.durationUs);
            case 'self':
              return span.missing ? '–' : formatDurationUs(self[index] ?? 0);
            case 'critical':
              return onPath[index] ? formatDurationUs(onPath[index]) : '–';
            case 'kind':
              return span.kind;
            default:
              return span.error ? (
                <span className="tag bad">error</span>
              ) : span.missing ? (
                <span className="tag warn">missing</span>
              ) : (
                ''
              );
          }
        }}
      />
      <div className="row tableFoot">
        <CsvButton name={`trace ${trace.id}`} make={csv} />
      </div>
    </>
  );
}

/** As they stand in the tree without a column to sort by. */
function sortRows(
  rows: readonly number[],
  by: Sort | undefined,
  { trace, self, onPath }: TraceModel,
): readonly number[] {
  if (by === undefined) return rows;
  const value = (i: number): number => {
    switch (by) {
      case 'start':
        return -(trace.spans[i]?.startUs ?? 0);
      case 'duration':
        return trace.spans[i]?.missing ? -1 : (trace.spans[i]?.durationUs ?? 0);
      case 'self':
        return self[i] ?? 0;
      case 'critical':
        return onPath[i] ?? 0;
    }
  };
  return [...rows].sort((a, b) => value(b) - value(a) || a - b);
}
