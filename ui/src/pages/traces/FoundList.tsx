/** The list of traces with how far back it reaches, its order, its files and what is left to load. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { adviceOn } from '../../lib/advice';
import { foundCsv, type Sort, sortFound, SORTS } from '../../lib/found';
import { formatDateTime } from '../../lib/timeformat';
import { formatCount } from '../../lib/units';
import { CsvButton } from '../../parts/CsvButton';
import { JsonButton } from '../../parts/JsonButton';
import { Problem } from '../../parts/Problem';
import { MOST_TRACES } from '../../state/search';
import { usePatch, useView } from '../../state/view';
import { NoTraces } from './NoTraces';
import { Results } from './Results';
import type { FoundTraces } from './useFound';
import type { Traces } from './useTraces';

/** Traces per page of the list. */
export const LISTED = 100;

export function FoundList({ traces, found }: { traces: Traces; found: FoundTraces }) {
  const search = useSearch({ from: '/traces' });
  const { zone } = useView();
  const patch = usePatch();
  const sort: Sort = search.sort ?? 'recent';
  const ordered = useMemo(() => sortFound(found.traces, sort), [found.traces, sort]);
  const wanted = search.limit ?? LISTED;
  const onMore = () => patch({ limit: Math.min(MOST_TRACES, wanted + LISTED) }, 'replace');
  if (found.traces.length === 0 && found.error) {
    return (
      <Problem
        error={found.error}
        query={traces.query}
        advice={adviceOn(found.error, 'traces')}
        onRetry={found.retry}
      />
    );
  }
  if (found.traces.length === 0 && !found.isFetching && !found.isWaiting) return <NoTraces traces={traces} />;
  return (
    <section className="panel results" aria-label="Traces found">
      <div className="row resultsHead">
        <strong className="num">{formatCount(found.traces.length)}</strong>
        <span className="soft clip">
          {found.traces.length === 1 ? 'trace' : 'traces'}
          {traces.area ? ' of the selection' : ''}
          {found.hasMore ? ', the newest of them' : ', all of them'} · {Math.round(found.elapsedMs)} ms
          {found.inspectedTraces === undefined ? '' : ` · ${formatCount(found.inspectedTraces)} looked at`}
        </span>
        {found.isFetching || found.isWaiting ? (
          <span className="row searching" role="status">
            <progress value={found.share} max={1} aria-label="Searched" />
            <span className="soft">
              {found.share > 0 ? `searched back to ${formatDateTime(found.backToMs, zone)}` : 'searching'}
            </span>
          </span>
        ) : null}
        <span className="grow" />
        <CsvButton name="traces" make={() => foundCsv(ordered)} />
        <JsonButton name="traces" make={() => ordered} />
        <div className="group" role="group" aria-label="Order">
          {(Object.keys(SORTS) as Sort[]).map((key) => (
            <button
              key={key}
              type="button"
              className="btn"
              aria-pressed={sort === key}
              title={key === 'recent' || !found.hasMore ? undefined : 'Of those that are loaded'}
              onClick={() => patch({ sort: key === 'recent' ? undefined : key }, 'replace')}
            >
              {SORTS[key]}
            </button>
          ))}
        </div>
      </div>
      {found.error ? (
        <Problem
          error={found.error}
          query={traces.query}
          advice={adviceOn(found.error, 'traces')}
          onRetry={found.retry}
        />
      ) : null}
      <Results
        traces={ordered}
        zone={zone}
        end={
          found.hasMore && !found.isFetching ? (
            wanted >= MOST_TRACES ? (
              <span className="soft">
                The newest {formatCount(MOST_TRACES)} are here. Narrow the query or the range for older ones.
              </span>
            ) : (
              <button type="button" className="btn" onClick={onMore}>
                Load {LISTED} more
              </button>
            )
          ) : found.hasMore || found.traces.length === 0 ? null : (
            <span className="soft">No older traces in this range.</span>
          )
        }
      />
    </section>
  );
}
