/** The head of a list of lines: what its columns are, which way it runs, whether lines wrap. */
import { useSearch } from '@tanstack/react-router';
import { type ReactNode, useMemo } from 'react';
import type { LogLine } from '../../api/loki';
import { readFieldKey } from '../../lib/fields';
import { CloseIcon } from '../../shell/icons';
import { usePatch } from '../../state/view';
import { columnWidths } from './columns';
import { type Logs, useWithDate } from './useLogs';

interface Props {
  logs: Logs;
  lines: readonly LogLine[];
  children?: ReactNode;
}

export function ListHead({ logs, lines, children }: Props) {
  const search = useSearch({ from: '/logs' });
  const patch = usePatch();
  const { columns, onColumn } = logs;
  const widths = useMemo(() => columnWidths(lines, columns), [lines, columns]);
  const oldest = search.order === 'oldest';
  return (
    <div className="listHead">
      <button
        type="button"
        className={useWithDate() ? 'listTime withDate' : 'listTime'}
        title={`${oldest ? 'Oldest' : 'Newest'} first; click for the other way (v o)`}
        aria-label={`Time, ${oldest ? 'oldest' : 'newest'} first`}
        onClick={() => patch({ order: oldest ? undefined : 'oldest' })}
      >
        Time {oldest ? '▲' : '▼'}
      </button>
      <span className="lineLevel">Lvl</span>
      {columns.map((key) => {
        const { name } = readFieldKey(key);
        return (
          <span key={key} className="listColumn" style={{ width: `${widths.get(key) ?? 10}ch` }}>
            <span className="clip" title={name}>
              {name}
            </span>
            <button type="button" aria-label={`Take the column ${name} out`} onClick={() => onColumn(key)}>
              <CloseIcon />
            </button>
          </span>
        );
      })}
      <span className="grow">Line</span>
      <button
        type="button"
        className="btn quiet"
        aria-pressed={search.wrap === 'on'}
        title="Long lines go on below (v w)"
        onClick={() => patch({ wrap: search.wrap === 'on' ? undefined : 'on' }, 'replace')}
      >
        Wrap
      </button>
      {children}
    </div>
  );
}
