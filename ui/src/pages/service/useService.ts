/** Rate, errors and durations of one service over the range, and of the whole of it. */
import { useMemo } from 'react';
import { type Coverage, mergeCoverage } from '../../api/coverage';
import { queryInstant, queryRange, type Series } from '../../api/prom';
import { type Columns, toColumns } from '../../lib/series';
import { callsQuery, isFailed, latencyQuery, type Operation, operationsOf, type Subject } from '../../lib/spanmetrics';
import { niceStep, promDuration } from '../../lib/steps';
import { sumSeries } from '../../lib/tracemetrics';
import { useAnswerAbout } from '../../state/answers';
import { useView } from '../../state/view';

export const QUANTILES = [0.5, 0.95, 0.99] as const;
const POINTS = 120;
/** Metrics are sent every minute at most places: a window that holds several of their samples. */
const SHORTEST_WINDOW_S = 120;

export interface ServiceRed {
  rates: Columns;
  errorRates: Columns;
  quantiles: Columns;
  /** Per second, over the range; null while it is not known. */
  rate: number | null;
  failed: number | null;
  /** Seconds. */
  atQuantiles: (number | null)[];
  step: number;
  coverage: Coverage[];
  loading: boolean;
  error: Error | null;
  retry: () => void;
}

export function useService(subject: Subject): ServiceRed {
  const { range } = useView();
  const step = niceStep(range.toMs - range.fromMs, POINTS);
  const near = promDuration(Math.max(SHORTEST_WINDOW_S, 2 * step));
  const whole = promDuration(Math.max(SHORTEST_WINDOW_S, (range.toMs - range.fromMs) / 1e3));
  const calls = useMatrix(callsQuery(subject, 'status_code', near), step);
  const total = useVector(callsQuery(subject, 'status_code', whole));
  const curves = QUANTILES.map((q) => useMatrix(latencyQuery(subject, q, '', near), step));
  const marks = QUANTILES.map((q) => useVector(latencyQuery(subject, q, '', whole)));
  const all = [calls, total, ...curves, ...marks];
  return useMemo(() => {
    const byStatus = calls.own?.data.series ?? [];
    const totals = total.own?.data.series;
    const sum = (series: readonly Series[]) => series.reduce((most, one) => most + (lastOf(one) ?? 0), 0);
    return {
      rates: toColumns([sumSeries(byStatus, {})], step),
      errorRates: toColumns([failuresOf(byStatus)], step),
      quantiles: toColumns(
        curves.map((one) => one.own?.data.series[0] ?? { labels: {}, times: [], values: [] }),
        step,
      ),
      rate: totals ? sum(totals) : null,
      failed: totals ? sum(totals.filter(isFailed)) : null,
      atQuantiles: marks.map((one) => lastOf(one.own?.data.series[0])),
      step,
      coverage: mergeCoverage(all.map((one) => one.own?.coverage ?? [])),
      loading: all.some((one) => !one.own && !one.error),
      error: all.find((one) => one.error)?.error ?? null,
      retry: () => all.forEach((one) => one.error && one.refetch()),
    };
  }, [...all.map((one) => one.own), ...all.map((one) => one.error), step]);
}

function lastOf(one: Series | undefined): number | null {
  const value = one?.values[one.values.length - 1];
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** Zero where there were calls and none failed. */
function failuresOf(byStatus: readonly Series[]): Series {
  const all = sumSeries(byStatus, {});
  const failed = sumSeries(byStatus.filter(isFailed), {});
  const values = new Map(failed.times.map((time, i) => [time, failed.values[i] ?? 0]));
  return { labels: {}, times: all.times, values: all.times.map((time) => values.get(time) ?? 0) };
}

function useMatrix(expr: string, step: number) {
  const { range, asker, from, to, nowMs } = useView();
  return useAnswerAbout(expr, ['service', asker, from, to, nowMs, step], (signal) =>
    queryRange(expr, range, step, { ...asker, signal }),
  );
}

function useVector(expr: string) {
  const { range, asker, from, to, nowMs } = useView();
  return useAnswerAbout(expr, ['service at once', asker, from, to, nowMs], (signal) =>
    queryInstant(expr, range.toMs, { ...asker, signal }),
  );
}

export function useOperations(subject: Subject): {
  rows: Operation[] | null;
  error: Error | null;
  refetch: () => void;
} {
  const { range } = useView();
  const whole = promDuration(Math.max(SHORTEST_WINDOW_S, (range.toMs - range.fromMs) / 1e3));
  const calls = useVector(callsQuery(subject, 'span_name, status_code', whole));
  const quantiles = QUANTILES.map((q) => useVector(latencyQuery(subject, q, 'span_name', whole)));
  const answers = quantiles.map((one) => one.own);
  const rows = useMemo(
    () =>
      calls.own
        ? operationsOf(
            calls.own.data.series,
            answers.map((one) => one?.data.series ?? []),
          )
        : null,
    [calls.own, ...answers],
  );
  return { rows, error: calls.error, refetch: calls.refetch };
}
