/** What the spans add up to: by operation, service, cluster, host, kind, or any attribute. */
import { useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { formatDurationUs } from '../../lib/timeformat';
import { sortStats, type StatKey, type StatRow, traceStats } from '../../lib/tracestats';
import { formatCount } from '../../lib/units';
import { CsvButton } from '../../parts/CsvButton';
import { VirtualTable } from '../../parts/VirtualTable';
import { usePatch } from '../../state/view';
import type { TraceModel } from './useTraceModel';

interface Props {
  model: TraceModel;
  /** The spans that count, where a search hides the rest. */
  only: ReadonlySet<number> | undefined;
  colour: (service: string) => string;
  onSelect: (span: number) => void;
  onFind: (text: string) => void;
}

const GROUPS = ['operation', 'service', 'cluster', 'host', 'kind'];

const NUMBERS: readonly (readonly [StatKey, string, string])[] = [
  ['count', 'Count', '70px'],
  ['errors', 'Errors', '70px'],
  ['totalUs', 'Total', '84px'],
  ['selfUs', 'Self', '84px'],
  ['pathUs', 'Critical', '84px'],
  ['meanUs', 'Mean', '80px'],
  ['minUs', 'Min', '80px'],
  ['p50Us', 'p50', '80px'],
  ['p95Us', 'p95', '80px'],
  ['p99Us', 'p99', '80px'],
  ['maxUs', 'Max', '80px'],
];

function shown(row: StatRow, key: StatKey): string {
  if (key === 'count' || key === 'errors') return formatCount(row[key]);
  return key === 'name' || key === 'service' ? row[key] : formatDurationUs(row[key]);
}

export function StatsTab({ model, only, colour, onSelect, onFind }: Props) {
  const { trace, self, onPath } = model;
  const search = useSearch({ from: '/trace/$id' });
  const patch = usePatch();
  const by = search.group ?? 'operation';
  const { rows, without } = useMemo(
    () => traceStats({ spans: trace.spans, self, path: onPath }, by, only),
    [trace, self, onPath, by, only],
  );
  const key = NUMBERS.find(([name]) => name === search.sort)?.[0] ?? (search.sort === 'name' ? 'name' : 'selfUs');
  const sorted = useMemo(() => sortStats(rows, key), [rows, key]);
  const operations = by === 'operation';
  const order = (column: StatKey) => ({
    onSort: () => patch({ sort: column === 'selfUs' ? undefined : column }, 'replace'),
    sort: key === column ? (column === 'name' ? ('ascending' as const) : ('descending' as const)) : undefined,
  });
  const columns = [
    ...(operations ? [{ key: 'service', title: 'Service', width: 'minmax(110px, 1fr)' }] : []),
    {
      key: 'name',
      title: operations ? 'Operation' : by.charAt(0).toUpperCase() + by.slice(1),
      width: 'minmax(160px, 2fr)',
      ...order('name'),
    },
    ...NUMBERS.map(([name, title, width]) => ({ key: name, title, width, align: 'right' as const, ...order(name) })),
  ];
  return (
    <div className="traceStats">
      <div className="row statTools">
        <GroupBy by={by} onBy={(next) => patch({ group: next === 'operation' ? undefined : next, sort: undefined })} />
        <span className="soft" role="status">
          {formatCount(sorted.length)} {sorted.length === 1 ? 'group' : 'groups'}
          {only ? ` of the ${formatCount(only.size)} spans found` : ''}
          {without > 0 ? `; ${formatCount(without)} spans have no ${by}` : ''}
        </span>
        <span className="grow" />
        <CsvButton
          name={`trace ${trace.id} by ${by}`}
          make={() => ({
            header: ['service', by, ...NUMBERS.map(([name]) => name.replace(/Us$/, '_us'))],
            rows: sorted.map((row) => [row.service, row.name, ...NUMBERS.map(([name]) => row[name])]),
          })}
        />
      </div>
      <VirtualTable
        label="Statistics"
        columns={columns}
        count={sorted.length}
        height="fill"
        cell={(at, column) => {
          const row = sorted[at];
          const name = columns[column]?.key as StatKey | undefined;
          if (!row || !name) return '';
          if (name === 'name')
            return (
              <button
                type="button"
                className="spanName"
                title="Find these spans"
                onClick={() => onFind(`${by}=${row.name}`)}
              >
                {row.name}
              </button>
            );
          if (name === 'service')
            return (
              <span className="traceService" style={{ borderLeftColor: colour(row.service) }}>
                {row.service}
              </span>
            );
          if (name === 'maxUs')
            return (
              <button
                type="button"
                className="linkish"
                title="Open the slowest span"
                onClick={() => onSelect(row.slowest)}
              >
                {formatDurationUs(row.maxUs)}
              </button>
            );
          if (name === 'errors' && row.errors > 0) return <span className="bad">{formatCount(row.errors)}</span>;
          return shown(row, name);
        }}
      />
    </div>
  );
}

function GroupBy({ by, onBy }: { by: string; onBy: (by: string) => void }) {
  const own = GROUPS.includes(by) ? '' : by;
  const [text, setText] = useState(own);
  return (
    <>
      <div className="group" role="group" aria-label="Add up by">
        {GROUPS.map((one) => (
          <button key={one} type="button" className="btn" aria-pressed={by === one} onClick={() => onBy(one)}>
            {one.charAt(0).toUpperCase() + one.slice(1)}
          </button>
        ))}
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim()) onBy(text.trim());
        }}
      >
        <input
          className="field"
          aria-label="Add up by an attribute"
          placeholder="or an attribute: http.route"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </form>
    </>
  );
}
