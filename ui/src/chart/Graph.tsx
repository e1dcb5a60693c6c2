/** The range answer of one query: capped series, chart and legend, or the values under it. */
import { useMemo, useState } from 'react';
import type { Coverage } from '../api/coverage';
import type { Series } from '../api/prom';
import { Legend } from './Legend';
import type { Mark } from './marks';
import { TimeChart } from './TimeChart';
import { ValueTable } from './ValueTable';
import { assignSlots, slotVariable } from '../lib/colour';
import { capSeries, type Columns, seriesName, shortName, toColumns, varyingLabels } from '../lib/series';
import { formatCount, guessUnit, type Unit } from '../lib/units';
import { useGaps } from '../state/gaps';
import { useRangeMoves, useSetRange, useView } from '../state/view';

interface Props {
  expr: string;
  series: readonly Series[];
  step: number;
  /** Of the answer the series came in. */
  coverage: readonly Coverage[] | undefined;
  cap: number;
  values: boolean;
  /** The full name of the series shown alone. */
  solo: string | undefined;
  onSolo: (name: string | undefined) => void;
  onCap: (cap: number) => void;
  height?: number;
  /** Where the caller knows better than the expression tells. */
  unit?: Unit | undefined;
  marks?: readonly Mark[] | undefined;
  onMark?: ((index: number) => void) | undefined;
}

/** More lines than this in one chart are a colour field; they also cost a second per redraw. */
const MOST = 500;

export function Graph({ expr, series, step, coverage, cap, values, solo, onSolo, onCap, ...more }: Props) {
  const { height = 240, marks, onMark } = more;
  const { range, zone } = useView();
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const gaps = useGaps(coverage);
  const [focus, setFocus] = useState<number | undefined>();
  const unit = more.unit ?? guessUnit(expr);
  const shaped = useMemo(() => shape(series, step, cap), [series, step, cap]);
  const alone = solo === undefined ? -1 : shaped.full.indexOf(solo);
  const drawn = useMemo(() => (alone < 0 ? shaped : only(shaped, alone)), [shaped, alone]);
  return (
    <>
      {values ? (
        <ValueTable
          title={expr}
          names={drawn.names}
          columns={drawn.columns}
          unit={unit}
          zone={zone}
          height={320}
          range={range}
          gaps={gaps}
        />
      ) : (
        <>
          <TimeChart
            title={expr}
            columns={drawn.columns}
            names={drawn.names}
            colours={drawn.colours}
            unit={unit}
            zone={zone}
            kind="line"
            height={height}
            range={range}
            gaps={gaps}
            onZoom={setRange}
            onZoomOut={moves.out}
            focus={alone < 0 ? focus : undefined}
            marks={marks}
            onMark={onMark}
          />
          <Legend
            names={shaped.names}
            colours={shaped.colours}
            columns={shaped.columns}
            unit={unit}
            solo={alone < 0 ? undefined : alone}
            onFocus={setFocus}
            onSolo={(i) => onSolo(i === undefined ? undefined : shaped.full[i])}
          />
        </>
      )}
      {shaped.total > shaped.names.length || cap > 50 ? (
        <div className="capNote" role="status">
          Showing {shaped.names.length} of {formatCount(shaped.total)} series, those with the highest mean.
          {shaped.total > shaped.names.length && cap < MOST ? (
            <button type="button" className="linkish" onClick={() => onCap(MOST)}>
              Show up to {MOST}
            </button>
          ) : null}
          {cap > 50 ? (
            <button type="button" className="linkish" onClick={() => onCap(50)}>
              Back to 50
            </button>
          ) : null}
        </div>
      ) : null}
    </>
  );
}

interface Shaped {
  names: string[];
  full: string[];
  colours: string[];
  columns: Columns;
  total: number;
}

function shape(series: readonly Series[], step: number, cap: number): Shaped {
  const { shown, total } = capSeries(series, cap);
  const varying = varyingLabels(shown);
  const full = shown.map((one) => seriesName(one.labels));
  const slots = assignSlots(full);
  return {
    names: shown.map((one) => shortName(one.labels, varying)),
    full,
    colours: full.map((name) => slotVariable(slots.get(name) ?? 0)),
    columns: toColumns(shown, step),
    total,
  };
}

function only(shaped: Shaped, index: number): Shaped {
  return {
    ...shaped,
    names: shaped.names.slice(index, index + 1),
    colours: shaped.colours.slice(index, index + 1),
    columns: [shaped.columns[0], shaped.columns[index + 1] ?? []],
  };
}
