/** Lines over time, of the whole range and not only of those loaded, split by level or by any field. */
import { useSearch } from '@tanstack/react-router';
import { TimeChart } from '../../chart/TimeChart';
import { ValueTable } from '../../chart/ValueTable';
import { adviceOn } from '../../lib/advice';
import { type Field, fieldKey, readFieldKey } from '../../lib/fields';
import { promDuration } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useGaps } from '../../state/gaps';
import { usePatch, useRangeMoves, useSetRange, useView } from '../../state/view';
import { type Bar, useBars, WHOLE } from './useBars';
import type { Logs } from './useLogs';

interface Props {
  logs: Logs;
  fields: readonly Field[];
  loaded: number;
  /** What is said of the lines already: the same words are not said twice. */
  said?: Error | null | undefined;
}

export function Histogram({ logs, fields, loaded, said }: Props) {
  const search = useSearch({ from: '/logs' });
  const { range, zone } = useView();
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const patch = usePatch();
  const shown = search.hist;
  const bars = useBars(logs, search.split);
  const gaps = useGaps(bars.coverage);
  const names = bars.bars.map((one) => one.name);
  return (
    <section className="panel histogram" aria-label="Histogram">
      <div className="row histogramHead">
        <strong className="num">{bars.loading ? '–' : formatCount(bars.total)}</strong>
        <span className="soft">
          lines in the range, {formatCount(loaded)} loaded · per {promDuration(bars.step)}
        </span>
        <SplitPicker split={search.split} fields={fields} onSplit={(split) => patch({ split })} />
        <Legend bars={bars.bars} onOnly={(query) => logs.setQuery(query)} />
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
      {bars.error && bars.error.message !== said?.message ? (
        <Problem error={bars.error} advice={adviceOn(bars.error)} />
      ) : null}
      {shown === 'table' ? (
        <ValueTable
          title={bars.title}
          names={names}
          columns={bars.columns}
          unit="short"
          zone={zone}
          height={160}
          range={range}
          gaps={gaps}
        />
      ) : shown === undefined ? (
        <TimeChart
          title={bars.title}
          columns={bars.columns}
          names={names}
          colours={bars.bars.map((one) => one.colour)}
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

interface PickerProps {
  split: string | undefined;
  fields: readonly Field[];
  onSplit: (split: string | undefined) => void;
}

function SplitPicker({ split, fields, onSplit }: PickerProps) {
  const keys = fields.map(fieldKey);
  // One from the address may be of a field that is not known yet.
  const listed = split === undefined || split === WHOLE || keys.includes(split) ? keys : [split, ...keys];
  return (
    <label className="row splitPicker">
      <span className="soft">by</span>
      <select
        className="field"
        aria-label="Split the histogram by"
        value={split ?? ''}
        onChange={(event) => onSplit(event.target.value || undefined)}
      >
        <option value="">level</option>
        <option value={WHOLE}>nothing</option>
        {listed.map((key) => (
          <option key={key} value={key}>
            {readFieldKey(key).name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Legend({ bars, onOnly }: { bars: readonly Bar[]; onOnly: (query: string) => void }) {
  return (
    <ul className="row histogramLegend grow" aria-label="Bars">
      {bars.map((bar) => {
        const { name, only } = bar;
        return (
          <li key={name}>
            <button
              type="button"
              className="row levelButton"
              disabled={only === null}
              title={only === null ? name : `${name}: ${formatCount(bar.total)} lines\nClick: only these`}
              onClick={() => only !== null && onOnly(only)}
            >
              <span className="swatch" style={{ background: bar.colour }} />
              <span className="clip">{name}</span> <span className="faint">{formatCount(bar.total)}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
