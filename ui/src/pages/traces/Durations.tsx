/** The picture above the results: rate, errors and durations, a heat map, points or values, or none of it. */
import { useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';
import { HeatTable } from '../../chart/HeatTable';
import { adviceOn } from '../../lib/advice';
import { type Area, areaText, countInArea } from '../../lib/area';
import type { Found } from '../../lib/found';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useGaps } from '../../state/gaps';
import { usePatch, useRangeMoves, useSetRange, useView } from '../../state/view';
import { areaWords, DurationMap } from './DurationMap';
import { RedHead } from './RedHead';
import { Scatter } from './Scatter';
import { useRed } from './useRed';
import type { Traces } from './useTraces';

const VIEWS = [
  { head: undefined, name: 'Heat map' },
  { head: 'scatter', name: 'Points' },
  { head: 'values', name: 'Values' },
  { head: 'off', name: 'Hide' },
] as const;

const TALL = 150;

interface Props {
  traces: Traces;
  found: readonly Found[];
  /** What is said of the list already: the same words are not said twice. */
  said: Error | null;
}

export function Durations({ traces, found, said }: Props) {
  const search = useSearch({ from: '/traces' });
  const { range, zone } = useView();
  const patch = usePatch();
  const moves = useRangeMoves();
  const shown = search.head;
  const red = useRed(traces.query, shown !== 'off');
  const gaps = useGaps(red.coverage);
  const onArea = useCallback((area: Area | null) => patch({ sel: area ? areaText(area) : undefined }), [patch]);
  // A query that is refused has no pictures; its refusal stands in place of the list.
  if (red.error !== null && said !== null && red.count === null) return null;
  return (
    <>
      {shown === 'off' ? null : <RedHead red={red} values={shown === 'values'} />}
      <section className="panel durations" aria-label="Durations">
        <div className="row durationsHead">
          <h2>Durations</h2>
          <Selected
            traces={traces}
            count={traces.area && red.heat ? countInArea(red.heat, traces.area, red.step) : null}
          />
          <span className="grow" />
          {red.loading && shown !== 'off' ? <span className="busy" /> : null}
          <div className="group" role="group" aria-label="Durations as">
            {VIEWS.map(({ head, name }) => (
              <button
                key={name}
                type="button"
                className="btn"
                aria-pressed={shown === head}
                onClick={() => patch({ head }, 'replace')}
              >
                {name}
              </button>
            ))}
          </div>
        </div>
        {red.error && red.error.message !== said?.message ? (
          <Problem error={red.error} query={traces.query} advice={adviceOn(red.error, 'traces')} onRetry={red.retry} />
        ) : null}
        {shown === undefined ? (
          red.heat && red.heat.columns.length > 0 ? (
            <DurationMap
              heat={red.heat}
              stepSeconds={red.step}
              range={range}
              zone={zone}
              gaps={gaps}
              area={traces.area}
              onArea={onArea}
              onZoomOut={moves.out}
              height={TALL}
            />
          ) : (
            <div className="durationsWait soft">{red.loading || red.error ? '' : 'No spans in this range.'}</div>
          )
        ) : null}
        {shown === 'scatter' ? <Scatter traces={found} range={range} zone={zone} /> : null}
        {shown === 'values' && red.heat ? (
          <HeatTable
            title="Durations"
            series={[]}
            heat={red.heat}
            unit="seconds"
            countUnit="short"
            zone={zone}
            range={range}
            gaps={gaps}
          />
        ) : null}
      </section>
    </>
  );
}

function Selected({ traces, count }: { traces: Traces; count: number | null }) {
  const { zone } = useView();
  const patch = usePatch();
  const setRange = useSetRange();
  const { area } = traces;
  if (!area) return null;
  return (
    <span className="row selectedArea" role="status">
      <span className="tag">selected</span>
      <span className="clip">
        {areaWords(area, zone)}
        {count === null ? '' : `: ${formatCount(count)} spans`}
      </span>
      <button
        type="button"
        className="linkish"
        onClick={() => {
          patch({ sel: undefined }, 'replace');
          setRange(area);
        }}
      >
        Zoom there
      </button>
      <button type="button" className="linkish" onClick={() => patch({ sel: undefined })}>
        Clear
      </button>
    </span>
  );
}
