/** Metrics explorer: query rows on the right, the metric browser on the left, examples while nothing is asked yet. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { labelValues, metadata } from '../../api/prom';
import { decodeQueries, encodeQueries, MAX_QUERIES, type QueryRow, startQuery } from '../../lib/queries';
import { PlusIcon } from '../../shell/icons';
import { useAnswer } from '../../state/answers';
import { advanceNow } from '../../state/now';
import { usePatch, useView } from '../../state/view';
import { offered } from './examples';
import { MetricBrowser } from './MetricBrowser';
import { QueryPanel } from './QueryPanel';
import './metrics.css';

export default function MetricsPage() {
  const search = useSearch({ from: '/metrics' });
  const view = useView();
  const patch = usePatch();
  const rows = useMemo(() => decodeQueries(search.q, search.tabs), [search.q, search.tabs]);
  const { asker, range } = view;
  const names = useAnswer(
    ['metric names', asker, view.from, view.to],
    (signal) => labelValues('__name__', { ...asker, signal }, range),
    { staleMs: 60_000 },
  );
  const types = useAnswer(['metadata', asker], (signal) => metadata({ ...asker, signal }), { staleMs: 300_000 });
  const set = (next: readonly QueryRow[], how: 'push' | 'replace' = 'push') => {
    if (how === 'push') advanceNow();
    patch(encodeQueries(next), how);
  };
  const pick = (name: string, type: string) => {
    const fresh = { expr: startQuery(name, type), tab: 'graph' as const, off: false };
    // The last row, when it is still empty, is where a picked metric goes; otherwise it becomes a row of its own.
    const kept = rows[rows.length - 1]?.expr === '' ? rows.slice(0, -1) : rows.slice(0, MAX_QUERIES - 1);
    set([...kept, fresh]);
  };
  const nothing = rows.every((row) => row.expr === '');
  return (
    <div className="metricsPage">
      {search.browse === 'off' ? null : (
        <MetricBrowser
          names={names.data?.data ?? []}
          metadata={types.data?.data ?? {}}
          find={search.find ?? ''}
          loading={names.isLoading}
          onFind={(find) => patch({ find: find || undefined }, 'replace')}
          onPick={pick}
        />
      )}
      <div className="metricsRows">
        {rows.map((row, i) => (
          <QueryPanel
            key={i}
            index={i}
            row={row}
            cap={search.cap ?? 50}
            removable={rows.length > 1 || row.expr !== ''}
            solo={search.solo}
            onChange={(next, how) =>
              set(
                rows.map((one, at) => (at === i ? next : one)),
                how,
              )
            }
            onRemove={() => set(rows.filter((_, at) => at !== i))}
            onCap={(cap) => patch({ cap: cap === 50 ? undefined : cap })}
            onSolo={(solo) => patch({ solo })}
            onRerun={advanceNow}
          />
        ))}
        {nothing ? (
          <Examples names={names.data?.data ?? []} onPick={(expr) => set([{ expr, tab: 'graph', off: false }])} />
        ) : null}
        <div className="row">
          <button
            type="button"
            className="btn"
            disabled={rows.length >= MAX_QUERIES}
            onClick={() => set([...rows, { expr: '', tab: 'graph', off: false }])}
          >
            <PlusIcon />
            Add query
          </button>
          <button
            type="button"
            className="btn quiet"
            aria-pressed={search.browse !== 'off'}
            onClick={() => patch({ browse: search.browse === 'off' ? undefined : 'off' })}
          >
            Metric browser
          </button>
        </div>
      </div>
    </div>
  );
}

function Examples({ names, onPick }: { names: readonly string[]; onPick: (expr: string) => void }) {
  const known = useMemo(() => new Set(names), [names]);
  return (
    <section className="examples" aria-label="Examples">
      <h2>Start from an example, or pick a metric on the left</h2>
      <ul>
        {offered(known).map(({ example, present }) => (
          <li key={example.title}>
            <button type="button" className="panel example" onClick={() => onPick(example.expr)}>
              <span className="row">
                <strong>{example.title}</strong>
                {present ? null : <span className="tag">no samples here yet</span>}
              </span>
              <code className="soft">{example.expr}</code>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
