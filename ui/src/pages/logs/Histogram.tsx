/** Lines per time and level over the whole range, not only over those loaded. */
import { useMemo } from 'react';
import { queryLogMetric } from '../../api/loki';
import { TimeChart } from '../../chart/TimeChart';
import { ValueTable } from '../../chart/ValueTable';
import { shapeHistogram } from '../../lib/histogram';
import { addOneOf, countByLevel } from '../../lib/logql';
import { niceStep, promDuration } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useAnswer } from '../../state/answers';
import { useGaps } from '../../state/gaps';
import { usePatch, useRangeMoves, useSetRange, useView } from '../../state/view';

interface Props {
  query: string;
  shown: 'table' | 'off' | undefined;
  loaded: number;
}

const BARS = 90;

export function Histogram({ query, shown, loaded }: Props) {
  const { range, zone, asker, nowMs, from, to } = useView();
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const patch = usePatch();
  const step = niceStep(range.toMs - range.fromMs, BARS);
  const answer = useAnswer(['histogram', query, asker, from, to, nowMs, step], (signal) => {
    // A bar counts the step before its instant: from the end of the first bar to the end of the last.
    const stepMs = step * 1e3;
    const window = {
      fromMs: (Math.floor(range.fromMs / stepMs) + 1) * stepMs,
      toMs: Math.ceil(range.toMs / stepMs) * stepMs,
    };
    return queryLogMetric(countByLevel(query, promDuration(step)), window, step, { ...asker, signal });
  });
  const shaped = useMemo(() => shapeHistogram(answer.data?.data.series ?? [], step), [answer.data, step]);
  const gaps = useGaps(answer.data?.coverage);
  const title = `Lines per ${promDuration(step)} by level`;
  return (
    <section className="panel histogram" aria-label="Histogram">
      <div className="row histogramHead">
        <strong className="num">{answer.data ? formatCount(shaped.total) : '–'}</strong>
        <span className="soft">
          lines in the range, {formatCount(loaded)} loaded · per {promDuration(step)}
        </span>
        <ul className="row histogramLegend" aria-label="Levels">
          {shaped.levels.map((level) => (
            <li key={level.level}>
              <button
                type="button"
                className="row levelButton"
                disabled={level.filter === null}
                title={level.filter ? `Only ${level.level} lines` : undefined}
                onClick={() => level.filter && patch({ q: addOneOf(query, level.filter.label, level.filter.values) })}
              >
                <span className="swatch" style={{ background: `var(--level-${level.level})` }} />
                {level.level} <span className="faint">{formatCount(level.total)}</span>
              </button>
            </li>
          ))}
        </ul>
        <span className="grow" />
        <div className="group" role="group" aria-label="Histogram as">
          <button
            type="button"
            className="btn"
            aria-pressed={shown === undefined}
            onClick={() => patch({ hist: undefined })}
          >
            Bars
          </button>
          <button
            type="button"
            className="btn"
            aria-pressed={shown === 'table'}
            onClick={() => patch({ hist: 'table' })}
          >
            Values
          </button>
          <button type="button" className="btn" aria-pressed={shown === 'off'} onClick={() => patch({ hist: 'off' })}>
            Hide
          </button>
        </div>
      </div>
      {answer.error ? <Problem error={answer.error} /> : null}
      {shown === 'table' ? (
        <ValueTable
          title={title}
          names={shaped.levels.map((one) => one.level)}
          columns={shaped.columns}
          unit="short"
          zone={zone}
          height={160}
          range={range}
          gaps={gaps}
        />
      ) : shown === undefined ? (
        <TimeChart
          title={title}
          columns={shaped.columns}
          names={shaped.levels.map((one) => one.level)}
          colours={shaped.levels.map((one) => `var(--level-${one.level})`)}
          unit="short"
          zone={zone}
          kind="bars"
          height={110}
          range={range}
          gaps={gaps}
          onZoom={setRange}
          onZoomOut={moves.out}
        />
      ) : null}
    </section>
  );
}
