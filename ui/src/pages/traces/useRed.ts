/** Rate, errors and durations of what is searched, over the whole range and not only of the traces that are listed. */
import { useMemo } from 'react';
import { type Coverage, mergeCoverage } from '../../api/coverage';
import type { Series } from '../../api/prom';
import { queryTraceMetrics } from '../../api/tempo';
import { type Heat, type HeatColumn, quantileOf } from '../../lib/heat';
import { type Columns, toColumns } from '../../lib/series';
import { niceStep } from '../../lib/steps';
import { durationHeat, isError, redOf, sumSeries, totalColumn } from '../../lib/tracemetrics';
import { metricOf } from '../../lib/traceql';
import { useAnswerAbout } from '../../state/answers';
import { useView } from '../../state/view';

/** Steps over the range: as many cells as a wide screen tells apart. */
const STEPS = 90;
export const QUANTILES = [0.5, 0.95, 0.99] as const;

export interface Red {
  step: number;
  rates: Columns;
  errorRates: Columns;
  quantiles: Columns;
  heat: Heat | null;
  /** Of the range; null while it is not known. */
  count: number | null;
  errors: number | null;
  /** In seconds, of the range; null where nothing was counted. */
  atQuantiles: (number | null)[];
  coverage: Coverage[] | undefined;
  loading: boolean;
  error: Error | null;
  retry: () => void;
}

export function useRed(query: string, enabled: boolean): Red {
  const { range } = useView();
  const step = niceStep(range.toMs - range.fromMs, STEPS);
  const rates = useMetric(metricOf(query, 'rate() by (status)'), step, enabled);
  const spread = useMetric(metricOf(query, `quantile_over_time(duration, ${QUANTILES.join(', ')})`), step, enabled);
  const cells = useMetric(metricOf(query, 'histogram_over_time(duration)'), step, enabled);
  const retry = () => [rates, spread, cells].forEach((one) => one.error && one.refetch());
  return useMemo(() => {
    const byStatus = rates.own?.data.series;
    const heat = cells.own ? durationHeat(cells.own.data.series) : null;
    const red = byStatus ? redOf(byStatus, step) : null;
    return {
      step,
      rates: toColumns([sumSeries(byStatus ?? [], {})], step),
      errorRates: toColumns([errorSeries(byStatus ?? [])], step),
      quantiles: toColumns(quantileSeries(spread.own?.data.series ?? []), step),
      heat,
      count: red?.count ?? null,
      errors: red?.errors ?? null,
      atQuantiles: wholeQuantiles(heat ? totalColumn(heat) : null),
      coverage: mergeCoverage([rates, spread, cells].map((one) => one.own?.coverage ?? [])),
      loading: [rates, spread, cells].some((one) => !one.own && !one.error),
      error: rates.error ?? spread.error ?? cells.error,
      retry,
    };
    // `retry` asks whatever failed last; it needs no new object for that.
  }, [rates.own, rates.error, spread.own, spread.error, cells.own, cells.error, step]);
}

function useMetric(query: string, step: number, enabled: boolean) {
  const { range, asker, nowMs, from, to } = useView();
  return useAnswerAbout(
    query,
    ['trace metric', asker, from, to, nowMs, step],
    (signal) => queryTraceMetrics(query, range, step, { ...asker, signal }),
    { enabled },
  );
}

/** Zero where there were spans and none failed: a gap would read as "not known". */
function errorSeries(byStatus: readonly Series[]): Series {
  const failed = sumSeries(byStatus.filter(isError), {});
  const all = sumSeries(byStatus, {});
  const values = new Map(failed.times.map((time, i) => [time, failed.values[i] ?? 0]));
  return { labels: {}, times: all.times, values: all.times.map((time) => values.get(time) ?? 0) };
}

/** In the order of `QUANTILES`, whatever order the node answers in. */
function quantileSeries(series: readonly Series[]): Series[] {
  return QUANTILES.map(
    (q) =>
      series.find((one) => Math.abs(Number(one.labels.p ?? NaN) - q) < 1e-9) ?? { labels: {}, times: [], values: [] },
  );
}

function wholeQuantiles(column: HeatColumn | null): (number | null)[] {
  return QUANTILES.map((q) => (column ? quantileOf(column, q, 'native') : null));
}
