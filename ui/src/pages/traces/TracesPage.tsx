/** Trace search: the form, durations over time, and a row per trace found. */
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { searchTraces, services } from '../../api/jaeger';
import { parseTags, type Summary, summariseTrace } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useAnswer } from '../../state/answers';
import type { CommonSearch, TracesSearch } from '../../state/search';
import { pickCommon, usePatch, useView } from '../../state/view';
import { Results } from './Results';
import { Scatter } from './Scatter';
import { SearchForm } from './SearchForm';
import './traces.css';

const SORTS = { recent: 'Newest', longest: 'Longest', spans: 'Most spans', errors: 'Most errors' } as const;
type Sort = keyof typeof SORTS;
const DEFAULT_LIMIT = 100;

export default function TracesPage() {
  const asked = useSearch({ from: '/traces' });
  const { asker } = useView();
  const known = useAnswer(['services', asker], (signal) => services({ ...asker, signal }), { staleMs: 60_000 });
  const names = known.data?.data ?? [];
  // Where there is one service there is no choice to make.
  const service = asked.service ?? (names.length === 1 ? names[0] : undefined);
  const search = { ...asked, service };
  return (
    <div className="page tracesPage">
      <SearchForm
        key={JSON.stringify([search.service, search.operation, search.tags, search.min, search.max, search.limit])}
        search={search}
        services={names}
        defaultLimit={DEFAULT_LIMIT}
      />
      {known.error ? <Problem error={known.error} onRetry={() => void known.refetch()} /> : null}
      {service ? (
        <Found search={search} service={service} />
      ) : (
        <ChooseService services={names} loading={known.isLoading} />
      )}
    </div>
  );
}

function Found({ search, service }: { search: TracesSearch; service: string }) {
  const { range, zone, asker, nowMs, from, to } = useView();
  const patch = usePatch();
  const limit = search.limit ?? DEFAULT_LIMIT;
  const wanted = {
    service,
    operation: search.operation,
    tags: parseTags(search.tags ?? '') ?? {},
    minDuration: search.min,
    maxDuration: search.max,
    limit,
  };
  const answer = useAnswer(['traces', wanted, asker, from, to, nowMs], (signal) =>
    searchTraces(wanted, range, { ...asker, signal }),
  );
  const sort: Sort = search.sort ?? 'recent';
  const found = useMemo(() => (answer.data?.data ?? []).map(summariseTrace).sort(ORDER[sort]), [answer.data, sort]);
  if (answer.error) return <Problem error={answer.error} onRetry={() => void answer.refetch()} />;
  if (!answer.data)
    return (
      <div className="empty">
        <span className="busy" />
      </div>
    );
  if (found.length === 0) {
    return (
      <div className="panel empty grow">
        <h2>No trace matches</h2>
        <p>Widen the range (t −), or drop the operation, tags or duration limits.</p>
      </div>
    );
  }
  return (
    <>
      <Scatter traces={found} range={range} zone={zone} />
      <section className="panel results" aria-label="Traces found">
        <div className="row resultsHead">
          <strong>{formatCount(found.length)}</strong>
          <span className="soft">
            traces{found.length >= limit ? `, cut at the limit of ${limit}: raise it or narrow the range` : ''} ·{' '}
            {Math.round(answer.data.elapsedMs)} ms
          </span>
          <span className="grow" />
          <div className="group" role="group" aria-label="Order">
            {(Object.keys(SORTS) as Sort[]).map((key) => (
              <button
                key={key}
                type="button"
                className="btn"
                aria-pressed={sort === key}
                onClick={() => patch({ sort: key === 'recent' ? undefined : key }, 'replace')}
              >
                {SORTS[key]}
              </button>
            ))}
          </div>
        </div>
        <Results traces={found} zone={zone} />
      </section>
    </>
  );
}

const ORDER: Record<Sort, (a: Summary, b: Summary) => number> = {
  recent: (a, b) => b.startUs - a.startUs,
  longest: (a, b) => b.durationUs - a.durationUs,
  spans: (a, b) => b.spans - a.spans,
  errors: (a, b) => b.errors - a.errors || b.durationUs - a.durationUs,
};

/** Links drawn before the search field is the better way. */
const LISTED = 200;

function ChooseService({ services: known, loading }: { services: readonly string[]; loading: boolean }) {
  if (loading)
    return (
      <div className="empty">
        <span className="busy" />
      </div>
    );
  if (known.length === 0) {
    return (
      <div className="empty">
        <h2>No traces yet</h2>
        <p>
          Send spans as OTLP to <code>/v1/traces</code> or port 4317, or point a Jaeger or Zipkin exporter here.
        </p>
      </div>
    );
  }
  return (
    <section className="panel serviceList" aria-label="Services">
      <h2>Choose a service</h2>
      <ul>
        {known.slice(0, LISTED).map((service) => (
          <li key={service}>
            <Link to="/traces" search={(before: CommonSearch) => ({ ...pickCommon(before), service })} className="btn">
              {service}
            </Link>
          </li>
        ))}
      </ul>
      {known.length > LISTED ? (
        <p className="soft">
          Showing {LISTED} of {known.length}; type in the field above for the rest.
        </p>
      ) : null}
    </section>
  );
}
