/** One of rate, errors and duration: its number over the range, and its curve or the values of it. */
import type { Coverage } from '../api/coverage';
import type { Columns } from '../lib/series';
import type { Unit } from '../lib/units';
import { useGaps } from '../state/gaps';
import { useRangeMoves, useSetRange, useView } from '../state/view';
import type { Mark } from './marks';
import { TimeChart } from './TimeChart';
import { ValueTable } from './ValueTable';

interface Props {
  title: string;
  number: string;
  more: string;
  isBad?: boolean;
  columns: Columns;
  names: readonly string[];
  colours: readonly string[];
  unit: Unit;
  coverage: readonly Coverage[] | undefined;
  /** Values in place of the curve. */
  values: boolean;
  height: number;
  /** What the answer lacks is named elsewhere on the page. */
  quietGaps?: boolean;
  marks?: readonly Mark[] | undefined;
  onMark?: ((index: number) => void) | undefined;
}

export function RedPanel({ title, number, more, isBad, columns, names, colours, unit, ...props }: Props) {
  const { range, zone } = useView();
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const gaps = useGaps(props.coverage);
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
      {props.values ? (
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
          height={props.height}
          fromZero
          range={range}
          gaps={gaps}
          quietGaps={props.quietGaps ?? false}
          marks={props.marks}
          onMark={props.onMark}
          onZoom={setRange}
          onZoomOut={moves.out}
        />
      )}
    </section>
  );
}
