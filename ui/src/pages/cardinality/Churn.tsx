/** Series that appeared and ended in each interval: what fills an index although the number of live series stays the same. */
import { useMemo } from 'react';
import { queryRange } from '../../api/prom';
import { mergeCoverage } from '../../api/coverage';
import { TimeChart } from '../../chart/TimeChart';
import { churnQueries } from '../../lib/cardinality';
import type { parseSelector } from '../../lib/promtext';
import { toColumns } from '../../lib/series';
import { niceStep, promDuration } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useAnswerAbout } from '../../state/answers';
import { useGaps } from '../../state/gaps';
import { usePatch, useRangeMoves, useSetRange, useView } from '../../state/view';

interface Props {
  scope: ReturnType<typeof parseSelector>;
  /** Series in the scope, as far as is known. */
  series: number;
  wanted: boolean;
}

/** Counted without being asked for up to here: it reads every sample of the scope. */
const UNASKED = 5_000;
const INTERVALS = 40;
/** Within the lookback a series that ended still counts as there. */
const SHORTEST_S = 60;
const NAMES = ['appeared', 'ended'] as const;
const COLOURS = ['var(--series-0)', 'var(--series-1)'] as const;

export function Churn({ scope, series, wanted }: Props) {
  const { range, zone, asker, from, to, nowMs } = useView();
  const patch = usePatch();
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const step = Math.max(SHORTEST_S, niceStep(range.toMs - range.fromMs, INTERVALS));
  const queries = useMemo(() => churnQueries(scope, step), [scope, step]);
  const enabled = wanted || (series > 0 && series <= UNASKED);
  const answer = useAnswerAbout(
    queries.appeared,
    ['churn', step, asker, from, to, nowMs],
    async (signal) => {
      const ask = (expr: string) => queryRange(expr, range, step, { ...asker, signal });
      const [appeared, ended] = await Promise.all([ask(queries.appeared), ask(queries.ended)]);
      return {
        ...appeared,
        data: [appeared, ended].map((one) => one.data.series[0] ?? { labels: {}, times: [], values: [] }),
        coverage: mergeCoverage([appeared.coverage, ended.coverage]),
      };
    },
    { enabled },
  );
  const columns = useMemo(() => {
    const bars = (answer.own?.data ?? []).map((one) => {
      // A bar begins where its interval does; one that begins before the range would be cut off, and higher than the axis.
      const kept = one.times.flatMap((time, i) => (time - step >= range.fromMs / 1e3 ? [i] : []));
      const pick = (values: readonly number[]) => kept.map((i) => values[i] ?? 0);
      return { ...one, times: pick(one.times).map((time) => time - step), values: pick(one.values) };
    });
    return toColumns(bars, step);
  }, [answer.own, step, range.fromMs]);
  const gaps = useGaps(answer.own?.coverage);
  const sums = columns.slice(1).map((column) => column.reduce<number>((sum, value) => sum + (value ?? 0), 0));
  return (
    <section className="panel churn" aria-label="Churn">
      <div className="row rankHead">
        <h2>Churn</h2>
        <span className="soft">
          {enabled && answer.own
            ? `${formatCount(sums[0] ?? 0)} series appeared and ${formatCount(sums[1] ?? 0)} ended in this range, counted every ${promDuration(step)}`
            : `series that appear and end, counted every ${promDuration(step)}`}
        </span>
        {enabled && answer.own
          ? NAMES.map((name, i) => (
              <span key={name} className="row churnKey soft">
                <span className="swatch" style={{ background: COLOURS[i] }} />
                {name}
              </span>
            ))
          : null}
      </div>
      {answer.error && enabled ? (
        <Problem error={answer.error} query={queries.appeared} onRetry={answer.refetch} />
      ) : (
        <div className="churnBody">
          {enabled && answer.own ? (
            <TimeChart
              title="Series that appeared and ended"
              columns={columns}
              names={NAMES}
              colours={COLOURS}
              unit="short"
              zone={zone}
              kind="bars"
              height={120}
              range={range}
              gaps={gaps}
              onZoom={setRange}
              onZoomOut={moves.out}
            />
          ) : enabled ? (
            <div className="empty">
              <span className="busy" />
            </div>
          ) : (
            <div className="empty">
              <p>
                {series > 0
                  ? `Counting churn reads every sample of ${formatCount(series)} series in this range.`
                  : 'No series to count.'}
              </p>
              {series > 0 ? (
                <button type="button" className="btn" onClick={() => patch({ churn: 'on' }, 'replace')}>
                  Count it
                </button>
              ) : null}
            </div>
          )}
        </div>
      )}
    </section>
  );
}
