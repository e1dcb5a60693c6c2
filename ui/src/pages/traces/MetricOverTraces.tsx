/** A metrics query over spans: the same graph as on the metrics page. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { queryTraceMetrics } from '../../api/tempo';
import { Graph } from '../../chart/Graph';
import { HeatTable } from '../../chart/HeatTable';
import { adviceOn } from '../../lib/advice';
import { niceStep } from '../../lib/steps';
import { durationHeat } from '../../lib/tracemetrics';
import type { Unit } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useAnswerAbout } from '../../state/answers';
import { useGaps } from '../../state/gaps';
import { usePatch, useRangeMoves, useView } from '../../state/view';
import { DurationMap } from './DurationMap';

const POINTS = 180;

export default function MetricOverTraces({ query }: { query: string }) {
  const search = useSearch({ from: '/traces' });
  const { range, zone, asker, nowMs, from, to } = useView();
  const patch = usePatch();
  const moves = useRangeMoves();
  const step = niceStep(range.toMs - range.fromMs, POINTS);
  const answer = useAnswerAbout(query, ['trace metric', asker, from, to, nowMs, step], (signal) =>
    queryTraceMetrics(query, range, step, { ...asker, signal }),
  );
  const gaps = useGaps(answer.own?.coverage);
  const series = answer.own?.data.series ?? [];
  const heat = useMemo(() => (answer.own ? durationHeat(answer.own.data.series) : null), [answer.own]);
  const isTable = search.head === 'values';
  return (
    <section className="panel traceMetric" aria-label="Metric over spans">
      {answer.error ? (
        <Problem
          error={answer.error}
          query={query}
          advice={adviceOn(answer.error, 'traces')}
          onRetry={answer.refetch}
        />
      ) : null}
      {!answer.own && !answer.error ? (
        <div className="empty">
          <span className="busy" />
        </div>
      ) : null}
      {answer.own && !answer.error && series.length === 0 ? (
        <div className="empty">
          <p>No series in this range.</p>
        </div>
      ) : null}
      {heat && !answer.error && isTable ? (
        <HeatTable
          title={query}
          series={[]}
          heat={heat}
          unit="seconds"
          countUnit="short"
          zone={zone}
          range={range}
          gaps={gaps}
        />
      ) : heat && !answer.error ? (
        <DurationMap
          heat={heat}
          stepSeconds={step}
          range={range}
          zone={zone}
          gaps={gaps}
          area={null}
          onArea={() => undefined}
          onZoomOut={moves.out}
          height={300}
        />
      ) : series.length > 0 && !answer.error ? (
        <Graph
          expr={query}
          series={series}
          step={step}
          coverage={answer.own?.coverage}
          cap={search.cap ?? 50}
          values={isTable}
          solo={search.solo}
          onSolo={(solo) => patch({ solo })}
          onCap={(cap) => patch({ cap: cap === 50 ? undefined : cap })}
          unit={unitOfTraceql(query)}
        />
      ) : null}
      <div className="row valueTableHead">
        <button
          type="button"
          className="btn quiet"
          aria-pressed={isTable}
          onClick={() => patch({ head: isTable ? undefined : 'values' }, 'replace')}
        >
          Values
        </button>
      </div>
    </section>
  );
}

/** Read off the function: rates are per second, durations are seconds. */
function unitOfTraceql(query: string): Unit {
  if (/\|\s*rate\s*\(/.test(query)) return 'ps';
  return /_over_time\s*\(\s*(span:)?(trace)?duration/i.test(query) ? 'seconds' : 'short';
}
