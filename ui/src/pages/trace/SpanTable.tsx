/** The table twin of the waterfall. */
import { useMemo, useState } from 'react';
import { formatDurationUs } from '../../lib/timeformat';
import type { Trace } from '../../lib/trace';
import { VirtualTable } from '../../parts/VirtualTable';

interface Props {
  trace: Trace;
  rows: readonly number[];
  self: readonly number[];
  selected: number;
  onSelect: (index: number) => void;
}

type Key = 'tree' | 'start' | 'duration' | 'self';

export function SpanTable({ trace, rows, self, selected, onSelect }: Props) {
  const [by, setBy] = useState<Key>('tree');
  const sorted = useMemo(() => {
    if (by === 'tree') return rows;
    const value = (i: number) => {
      const span = trace.spans[i];
      return by === 'start' ? -(span?.startUs ?? 0) : by === 'duration' ? (span?.durationUs ?? 0) : (self[i] ?? 0);
    };
    return [...rows].sort((a, b) => value(b) - value(a));
  }, [rows, by, trace, self]);
  const many = trace.clusters.length > 1;
  const order = (key: Key) => ({
    onSort: () => setBy(by === key ? 'tree' : key),
    sort: by === key ? (key === 'start' ? ('ascending' as const) : ('descending' as const)) : undefined,
  });
  const columns = [
    { key: 'service', title: 'Service', width: 'minmax(120px, 1fr)' },
    ...(many ? [{ key: 'cluster', title: 'Cluster', width: 'minmax(90px, 0.6fr)' }] : []),
    { key: 'operation', title: 'Operation', width: 'minmax(200px, 3fr)' },
    { key: 'start', title: 'Start', width: '90px', align: 'right' as const, ...order('start') },
    { key: 'duration', title: 'Duration', width: '90px', align: 'right' as const, ...order('duration') },
    { key: 'self', title: 'Self', width: '90px', align: 'right' as const, ...order('self') },
    { key: 'kind', title: 'Kind', width: '80px' },
    { key: 'state', title: 'State', width: '70px' },
  ];
  return (
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
                className="spanName"
                style={{ paddingLeft: by === 'tree' ? Math.min(span.depth, 16) * 10 : 0 }}
                onClick={() => onSelect(index)}
              >
                {span.operation}
              </button>
            );
          case 'start':
            return formatDurationUs(span.startUs);
          case 'duration':
            return formatDurationUs(span.durationUs);
          case 'self':
            return formatDurationUs(self[index] ?? 0);
          case 'kind':
            return span.kind;
          default:
            return span.error ? <span className="tag bad">error</span> : '';
        }
      }}
    />
  );
}
