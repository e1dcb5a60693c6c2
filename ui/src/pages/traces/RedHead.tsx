/** Rate, errors and durations of what is searched, each with its number and its curve; or the same as tables. */
import { TimeChart } from '../../chart/TimeChart';
import { ValueTable } from '../../chart/ValueTable';
import type { Columns } from '../../lib/series';
import { formatDurationUs } from '../../lib/timeformat';
import { formatCount, formatValue, type Unit } from '../../lib/units';
import { useGaps } from '../../state/gaps';
import { useRangeMoves, useSetRange, useView } from '../../state/view';
import { QUANTILES, type Red } from './useRed';

const TALL = 86;

export function RedHead({ red, values }: { red: Red; values: boolean }) {
  const { range } = useView();
  const seconds = Math.max(1, (range.toMs - range.fromMs) / 1e3);
  const share = red.count ? (red.errors ?? 0) / red.count : 0;
  const known = red.count !== null;
  return (
    <div className="redHead">
      <Part
        title="Rate"
        number={known ? `${formatValue((red.count ?? 0) / seconds, 'ps')}` : '–'}
        more={known ? `${formatCount(red.count ?? 0)} spans` : ''}
        columns={red.rates}
        names={['spans']}
        colours={['var(--series-0)']}
        unit="ps"
        red={red}
        values={values}
      />
      <Part
        title="Errors"
        number={known ? formatValue(share, 'ratio') : '–'}
        more={known ? `${formatCount(red.errors ?? 0)} spans` : ''}
        isBad={share > 0}
        columns={red.errorRates}
        names={['failed spans']}
        colours={['var(--series-4)']}
        unit="ps"
        red={red}
        values={values}
      />
      <Part
        title="Duration"
        number={QUANTILES.map((q, i) => {
          const at = red.atQuantiles[i];
          return `p${q * 100} ${at === null || at === undefined ? '–' : formatDurationUs(at * 1e6)}`;
        }).join(' · ')}
        more=""
        columns={red.quantiles}
        names={QUANTILES.map((q) => `p${q * 100}`)}
        colours={['var(--series-2)', 'var(--series-1)', 'var(--series-3)']}
        unit="seconds"
        red={red}
        values={values}
      />
    </div>
  );
}

interface PartProps {
  title: string;
  number: string;
  more: string;
  isBad?: boolean;
  columns: Columns;
  names: readonly string[];
  colours: readonly string[];
  unit: Unit;
  red: Red;
  values: boolean;
}

function Part({ title, number, more, isBad, columns, names, colours, unit, red, values }: PartProps) {
  const { range, zone } = useView();
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const gaps = useGaps(red.coverage);
  return (
    <section className="panel redPart" aria-label={title}>
      <div className="row redPartHead">
        <h2>{title}</h2>
        <span className={isBad ? 'num bad redNumber' : 'num redNumber'}>{number}</span>
        <span className="soft clip">{more}</span>
        {names.length > 1 ? (
          <span className="row redKey" aria-hidden="true">
            {names.map((name, i) => (
              <span key={name} className="row">
                <span className="swatch" style={{ background: colours[i] }} />
                {name}
              </span>
            ))}
          </span>
        ) : null}
      </div>
      {values ? (
        <ValueTable
          title={title}
          names={names}
          columns={columns}
          unit={unit}
          zone={zone}
          height={120}
          range={range}
          gaps={gaps}
        />
      ) : (
        <TimeChart
          title={`${title} over time`}
          columns={columns}
          names={names}
          colours={colours}
          unit={unit}
          zone={zone}
          kind="line"
          height={TALL}
          fromZero
          range={range}
          gaps={gaps}
          quietGaps
          onZoom={setRange}
          onZoomOut={moves.out}
        />
      )}
    </section>
  );
}
