/**
 * Labels and fields with their values. Stream labels are counted by the node over the whole range; fields that only
 * lines carry are counted here over the loaded lines, and each group says which of the two it is.
 */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef } from 'react';
import { queryLogInstant } from '../../api/loki';
import { topValues } from '../../lib/logql';
import type { FieldValues } from '../../lib/loglines';
import { promDuration } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';

interface Props {
  query: string;
  streamLabels: readonly string[];
  fields: readonly FieldValues[];
  loaded: number;
  open: string | undefined;
  /** Fields that stand as columns in the list. */
  columns: readonly string[];
  onColumn: (name: string) => void;
  onOpen: (name: string | undefined) => void;
  onFilter: (label: string, value: string, operator: '=' | '!=', isStream: boolean) => void;
}

type Row =
  | { kind: 'head'; text: string; note: string }
  | { kind: 'field'; name: string; distinct: number }
  | { kind: 'value'; name: string; value: string; count: number; share: number; stream: boolean }
  | { kind: 'note'; text: string };

const TOP = 12;
const ROW_PX = 25;

export function FieldSidebar(props: Props) {
  const { streamLabels, fields, loaded, open } = props;
  const streams = useMemo(() => new Set(streamLabels), [streamLabels]);
  const counted = useWholeRange(props.query, open !== undefined && streams.has(open) ? open : undefined);
  const rows = useMemo(() => {
    const byName = new Map(fields.map((field) => [field.name, field]));
    const out: Row[] = [{ kind: 'head', text: 'Stream labels', note: 'counts: whole range' }];
    for (const name of streamLabels) {
      out.push({ kind: 'field', name, distinct: byName.get(name)?.values.length ?? 0 });
      if (name === open) out.push(...(counted.rows ?? [{ kind: 'note' as const, text: counted.text }]));
    }
    out.push({ kind: 'head', text: 'Fields', note: `counts: ${formatCount(loaded)} loaded lines` });
    for (const field of fields) {
      if (streams.has(field.name)) continue;
      out.push({ kind: 'field', name: field.name, distinct: field.values.length });
      if (field.name === open) out.push(...valueRows(field.name, field.values.slice(0, TOP), loaded, false));
    }
    return out;
  }, [fields, streamLabels, streams, open, counted.rows, counted.text, loaded]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
  });
  return (
    <aside className="panel fieldSidebar" aria-label="Fields">
      <div ref={scroller} className="virtual grow" tabIndex={0} role="region" aria-label="Fields and values">
        <div className="inner" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            return row ? (
              <div key={item.key} className="vrow" style={{ transform: `translateY(${item.start}px)`, height: ROW_PX }}>
                <SidebarRow
                  row={row}
                  open={open}
                  columns={props.columns}
                  onColumn={props.onColumn}
                  onOpen={props.onOpen}
                  onFilter={props.onFilter}
                />
              </div>
            ) : null;
          })}
        </div>
      </div>
    </aside>
  );
}

function valueRows(
  name: string,
  values: readonly { value: string; count: number }[],
  total: number,
  stream: boolean,
): Row[] {
  return values.map(({ value, count }) => ({
    kind: 'value',
    name,
    value,
    count,
    share: total > 0 ? count / total : 0,
    stream,
  }));
}

function useWholeRange(query: string, label: string | undefined): { rows: Row[] | null; text: string } {
  const { range, asker, nowMs, from, to } = useView();
  const window = promDuration((range.toMs - range.fromMs) / 1e3);
  const answer = useAnswer(
    ['top values', query, label, asker, from, to, nowMs],
    (signal) => queryLogInstant(topValues(query, label ?? '', window, TOP), range.toMs, { ...asker, signal }),
    { enabled: label !== undefined && query !== '' },
  );
  return useMemo(() => {
    if (label === undefined) return { rows: null, text: '' };
    if (answer.error) return { rows: null, text: answer.error.message };
    if (!answer.data || answer.isPlaceholderData) return { rows: null, text: 'counting…' };
    const values = answer.data.data.series
      .map((one) => ({ value: one.labels[label] ?? '', count: one.values[0] ?? 0 }))
      .sort((a, b) => b.count - a.count);
    const total = values.reduce((sum, one) => sum + one.count, 0);
    return values.length > 0
      ? { rows: valueRows(label, values, total, true), text: '' }
      : { rows: null, text: 'no lines carry it' };
  }, [label, answer.data, answer.error, answer.isPlaceholderData]);
}

interface RowProps extends Pick<Props, 'open' | 'columns' | 'onColumn' | 'onOpen' | 'onFilter'> {
  row: Row;
}

function SidebarRow({ row, open, columns, onColumn, onOpen, onFilter }: RowProps) {
  switch (row.kind) {
    case 'head':
      return (
        <div className="fieldHead">
          <strong>{row.text}</strong>
          <span className="faint">{row.note}</span>
        </div>
      );
    case 'note':
      return (
        <div className="fieldNote clip soft" title={row.text}>
          {row.text}
        </div>
      );
    case 'field':
      return (
        <div className="fieldRow" data-open={row.name === open}>
          <button
            type="button"
            className="fieldName"
            aria-expanded={row.name === open}
            onClick={() => onOpen(row.name === open ? undefined : row.name)}
          >
            <span className="fieldArrow" aria-hidden="true">
              {row.name === open ? '▾' : '▸'}
            </span>
            <span className="clip grow">{row.name}</span>
            <span className="faint num">{row.distinct || ''}</span>
          </button>
          <button
            type="button"
            className="fieldColumn"
            aria-pressed={columns.includes(row.name)}
            aria-label={`Show ${row.name} as a column`}
            title="Show as a column"
            onClick={() => onColumn(row.name)}
          >
            ▥
          </button>
        </div>
      );
    case 'value':
      return (
        <div className="fieldValue" title={row.value}>
          <span className="fieldBar" style={{ width: `${Math.max(1, row.share * 100)}%` }} aria-hidden="true" />
          <span className="clip grow">{row.value || '(empty)'}</span>
          <span className="faint num">{formatCount(row.count)}</span>
          <FilterButtons
            label={row.name}
            value={row.value}
            onFilter={(operator) => onFilter(row.name, row.value, operator, row.stream)}
          />
        </div>
      );
  }
}

export function FilterButtons({
  label,
  value,
  onFilter,
}: {
  label: string;
  value: string;
  onFilter: (operator: '=' | '!=') => void;
}) {
  return (
    <span className="filterButtons">
      <button
        type="button"
        aria-label={`Only ${label} = ${value}`}
        title="Only this value"
        onClick={() => onFilter('=')}
      >
        +
      </button>
      <button
        type="button"
        aria-label={`Without ${label} = ${value}`}
        title="Without this value"
        onClick={() => onFilter('!=')}
      >
        −
      </button>
    </span>
  );
}
