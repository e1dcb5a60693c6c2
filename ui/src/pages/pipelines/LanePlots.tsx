/** The last minutes of a destination, a line for each class: what it takes, what waits, how old that is. */
import { useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import type { Lane } from '../../api/pipelines';
import { TimeChart } from '../../chart/TimeChart';
import { ValueTable } from '../../chart/ValueTable';
import { columnsOf, type History, laneKey, laneSamples, rateSamples, windowMs } from '../../lib/flowhistory';
import { classColour } from '../../lib/pipelines';
import type { Range } from '../../lib/time';
import { formatSpan } from '../../lib/timeformat';
import type { Unit } from '../../lib/units';
import { usePatch, useView } from '../../state/view';

interface Props {
  name: string;
  lanes: readonly Lane[];
  history: History;
  atMs: number;
}

const HEIGHT_PX = 118;
const TABLE_PX = 200;

const PLOTS: readonly { title: string; field: 'acknowledged' | 'backlogBytes' | 'lagSeconds'; unit: Unit }[] = [
  { title: 'Acknowledged per second', field: 'acknowledged', unit: 'ps' },
  { title: 'Backlog', field: 'backlogBytes', unit: 'bytes' },
  { title: 'Lag', field: 'lagSeconds', unit: 'seconds' },
];

export function LanePlots({ name, lanes, history, atMs }: Props) {
  const search = useSearch({ from: '/pipelines' });
  const patch = usePatch();
  // A part that was dragged over stands still while the rest goes on; it is gone with the page, as what it shows is.
  const [part, setPart] = useState<Range | null>(null);
  const span = windowMs(history);
  const range = part ?? { fromMs: atMs - span, toMs: atMs };
  const asValues = search.values === 'on';
  return (
    <>
      <div className="row pipePlotsHead">
        <h3>{part ? 'A part of what was seen' : `The last ${formatSpan(span / 1e3)}, as seen by this page`}</h3>
        {part ? (
          <button type="button" className="linkish" onClick={() => setPart(null)}>
            All of it
          </button>
        ) : null}
        <span className="grow" />
        <button
          type="button"
          className="btn quiet"
          aria-pressed={asValues}
          aria-label={`Values of the plots of ${name}`}
          onClick={() => patch({ values: asValues ? undefined : 'on' }, 'replace')}
        >
          Values
        </button>
      </div>
      <div className="pipePlots">
        {PLOTS.map((plot) => (
          <Plot
            key={plot.field}
            {...plot}
            name={name}
            lanes={lanes}
            history={history}
            range={range}
            asValues={asValues}
            onPart={setPart}
          />
        ))}
      </div>
    </>
  );
}

interface PlotProps {
  title: string;
  field: (typeof PLOTS)[number]['field'];
  unit: Unit;
  name: string;
  lanes: readonly Lane[];
  history: History;
  range: Range;
  asValues: boolean;
  onPart: (part: Range | null) => void;
}

function Plot({ title, field, unit, name, lanes, history, range, asValues, onPart }: PlotProps) {
  const { zone } = useView();
  const columns = useMemo(
    () =>
      columnsOf(
        lanes.map((lane) => {
          const samples = laneSamples(history, laneKey(lane), field);
          return field === 'acknowledged' ? rateSamples(samples) : samples;
        }),
      ),
    [lanes, history, field],
  );
  const names = lanes.map((lane) => lane.class);
  return (
    <div className="pipePlot">
      <h4 className="soft">{title}</h4>
      {asValues ? (
        <ValueTable
          title={`${name}, ${title}`}
          names={names}
          columns={columns}
          unit={unit}
          zone={zone}
          height={TABLE_PX}
          range={range}
        />
      ) : (
        <TimeChart
          title={`${name}, ${title}`}
          columns={columns}
          names={names}
          colours={lanes.map((lane) => classColour(lane.class))}
          unit={unit}
          zone={zone}
          kind="line"
          height={HEIGHT_PX}
          fromZero
          range={range}
          onZoom={onPart}
          onZoomOut={() => onPart(null)}
        />
      )}
    </div>
  );
}
