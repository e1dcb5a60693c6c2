/** Why there are no traces: the query, the range, or nothing was ever sent. Each with what to do next. */
import { traceServices } from '../../api/tempo';
import { useAnswer } from '../../state/answers';
import { usePatch, useRangeMoves, useSetRange, useView } from '../../state/view';
import { EVERYTHING, type Traces } from './useTraces';

export function NoTraces({ traces }: { traces: Traces }) {
  const { asker, range, from, to } = useView();
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const patch = usePatch();
  const known = useAnswer(['trace services', asker, from, to], (signal) => traceServices({ ...asker, signal }, range), {
    staleMs: 60_000,
  });
  const services = known.data?.data ?? [];
  const isNarrow = traces.query !== EVERYTHING;
  return (
    <div className="panel empty grow">
      <h2>No trace matches</h2>
      {traces.area ? (
        <p>No trace of the search lies in the selected area.</p>
      ) : services.length > 0 && isNarrow ? (
        <p>
          Traces of {services.length === 1 ? services[0] : `${services.length} services`} are in this range, and none
          matches the query.
        </p>
      ) : (
        <p>
          No spans were kept in this range. Send some as OTLP to <code>/v1/traces</code> or port 4317, or point a Jaeger
          or Zipkin exporter here; or widen the range.
        </p>
      )}
      <div className="row">
        {traces.area ? (
          <button type="button" className="btn primary" onClick={() => patch({ sel: undefined })}>
            Clear the selection
          </button>
        ) : isNarrow ? (
          <button type="button" className="btn primary" onClick={() => traces.setQuery(EVERYTHING)}>
            Every trace
          </button>
        ) : null}
        <button type="button" className="btn" onClick={() => setRange({ from: 'now-24h', to: 'now' })}>
          Last 24 hours
        </button>
        <button type="button" className="btn" onClick={moves.out} title="t -">
          Twice the range
        </button>
      </div>
    </div>
  );
}
