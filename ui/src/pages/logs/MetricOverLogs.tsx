/** A metric query over lines: the same graph as on the metrics page. */
import { useSearch } from '@tanstack/react-router';
import { queryLogMetric } from '../../api/loki';
import { Graph } from '../../chart/Graph';
import { adviceOn } from '../../lib/advice';
import { niceStep } from '../../lib/steps';
import { Problem } from '../../parts/Problem';
import { useAnswer } from '../../state/answers';
import { usePatch, useView } from '../../state/view';

export default function MetricOverLogs({ query }: { query: string }) {
  const search = useSearch({ from: '/logs' });
  const { range, asker, nowMs, from, to } = useView();
  const patch = usePatch();
  const step = niceStep(range.toMs - range.fromMs, 240);
  const answer = useAnswer(['log metric', query, asker, from, to, nowMs], (signal) =>
    queryLogMetric(query, range, step, { ...asker, signal }),
  );
  const series = answer.data?.data.series ?? [];
  return (
    <section className="panel logMetric" aria-label="Metric over log lines">
      {answer.error ? (
        <Problem
          error={answer.error}
          query={query}
          advice={adviceOn(answer.error)}
          onRetry={() => void answer.refetch()}
        />
      ) : null}
      {answer.data && !answer.error && series.length === 0 ? (
        <div className="empty">
          <p>No series in this range.</p>
        </div>
      ) : null}
      {series.length > 0 && !answer.error ? (
        <Graph
          expr={query}
          series={series}
          step={step}
          coverage={answer.data?.coverage}
          cap={search.cap ?? 50}
          values={search.hist === 'table'}
          solo={search.solo}
          onSolo={(solo) => patch({ solo })}
          onCap={(cap) => patch({ cap: cap === 50 ? undefined : cap })}
        />
      ) : null}
      <div className="row valueTableHead">
        <button
          type="button"
          className="btn quiet"
          aria-pressed={search.hist === 'table'}
          onClick={() => patch({ hist: search.hist === 'table' ? undefined : 'table' })}
        >
          Values
        </button>
      </div>
    </section>
  );
}
