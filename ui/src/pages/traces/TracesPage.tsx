/** Trace search: the query and its form, rate, errors and durations of what it finds, and a row per trace. */
import { useSearch } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { Differences } from './Differences';
import { Durations } from './Durations';
import { FoundList, LISTED } from './FoundList';
import { SearchLine } from './SearchLine';
import { useFound } from './useFound';
import { type Traces, useTraces } from './useTraces';
import './traces.css';

const MetricOverTraces = lazy(() => import('./MetricOverTraces'));

export default function TracesPage() {
  const traces = useTraces();
  return (
    <div className="page tracesPage">
      <SearchLine traces={traces} />
      {traces.isMetrics ? (
        <Suspense fallback={<span className="busy" />}>
          <MetricOverTraces query={traces.query} />
        </Suspense>
      ) : (
        <Found traces={traces} />
      )}
    </div>
  );
}

function Found({ traces }: { traces: Traces }) {
  const search = useSearch({ from: '/traces' });
  const found = useFound(traces.query, traces.area, search.limit ?? LISTED);
  return (
    <>
      <Durations traces={traces} found={found.traces} said={found.error} />
      <div className="tracesBody">
        <FoundList traces={traces} found={found} />
        {traces.area ? <Differences traces={traces} area={traces.area} /> : null}
      </div>
    </>
  );
}
