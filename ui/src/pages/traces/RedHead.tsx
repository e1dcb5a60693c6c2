/** Rate, errors and durations of what is searched, each with its number and its curve; or the same as tables. */
import { RedPanel } from '../../chart/RedPanel';
import { formatDurationUs } from '../../lib/timeformat';
import { formatCount, formatShare, formatValue } from '../../lib/units';
import { useView } from '../../state/view';
import { QUANTILES, type Red } from './useRed';

const TALL = 86;

export function RedHead({ red, values }: { red: Red; values: boolean }) {
  const { range } = useView();
  const seconds = Math.max(1, (range.toMs - range.fromMs) / 1e3);
  const share = red.count ? (red.errors ?? 0) / red.count : 0;
  const known = red.count !== null;
  return (
    <div className="redHead">
      <RedPanel
        title="Rate"
        number={known ? `${formatValue((red.count ?? 0) / seconds, 'ps')}` : '–'}
        more={known ? `${formatCount(red.count ?? 0)} spans` : ''}
        columns={red.rates}
        names={['spans']}
        colours={['var(--series-0)']}
        unit="ps"
        coverage={red.coverage}
        values={values}
        height={TALL}
        quietGaps
      />
      <RedPanel
        title="Errors"
        number={known ? formatShare(share) : '–'}
        more={known ? `${formatCount(red.errors ?? 0)} spans` : ''}
        isBad={share > 0}
        columns={red.errorRates}
        names={['failed spans']}
        colours={['var(--series-4)']}
        unit="ps"
        coverage={red.coverage}
        values={values}
        height={TALL}
        quietGaps
      />
      <RedPanel
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
        coverage={red.coverage}
        values={values}
        height={TALL}
        quietGaps
      />
    </div>
  );
}
