/** Which attributes tell the selected spans from the rest of the range, the most telling first. */
import { useMemo, useState } from 'react';
import { queryTraceInstant } from '../../api/tempo';
import { type Area, areaText, compareStage } from '../../lib/area';
import { adviceOn } from '../../lib/advice';
import { type Difference, type DifferentValue, readDifferences } from '../../lib/differences';
import { metricOf } from '../../lib/traceql';
import { formatCount, formatShare } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { CloseIcon } from '../../shell/icons';
import { useAnswerAbout } from '../../state/answers';
import { usePatch, useView } from '../../state/view';
import type { Traces } from './useTraces';

/** Attributes before the rest is counted. */
const SHOWN = 12;

export function Differences({ traces, area }: { traces: Traces; area: Area }) {
  const { range, asker, from, to, nowMs } = useView();
  const patch = usePatch();
  const [isAll, setAll] = useState(false);
  const query = metricOf(traces.query, compareStage(area));
  const answer = useAnswerAbout(`${query} ${areaText(area)}`, ['differences', asker, from, to, nowMs], (signal) =>
    queryTraceInstant(query, range, { ...asker, signal }),
  );
  const found = useMemo(() => (answer.own ? readDifferences(answer.own.data) : null), [answer.own]);
  const shown = isAll ? found?.attributes : found?.attributes.slice(0, SHOWN);
  return (
    <aside className="panel differences" aria-label="What differs">
      <div className="row differencesHead">
        <h2>What differs</h2>
        <span className="grow" />
        {answer.isFetching ? <span className="busy" /> : null}
        <button
          type="button"
          className="btn quiet"
          aria-label="Close the selection"
          onClick={() => patch({ sel: undefined })}
        >
          <CloseIcon />
        </button>
      </div>
      {answer.error ? (
        <Problem error={answer.error} advice={adviceOn(answer.error, 'traces')} onRetry={answer.refetch} />
      ) : null}
      {found ? (
        <p className="differencesKey soft">
          <span className="swatch selectedSwatch" /> {formatCount(found.selected)} selected{' '}
          <span className="swatch othersSwatch" /> {formatCount(found.others)} others
        </p>
      ) : null}
      {found && found.attributes.length === 0 ? (
        <p className="soft differencesNone">
          {found.selected === 0
            ? 'No span lies in the selection.'
            : found.others === 0
              ? 'Every span of the range is selected: there is nothing to compare with.'
              : 'No attribute tells the selected spans from the others.'}
        </p>
      ) : null}
      <ol className="differencesList" tabIndex={0} aria-label="Attributes, the most telling first">
        {shown?.map((one) => (
          <Attribute key={one.name} one={one} traces={traces} />
        ))}
      </ol>
      {found && !isAll && found.attributes.length > SHOWN ? (
        <button type="button" className="linkish differencesMore" onClick={() => setAll(true)}>
          {found.attributes.length - SHOWN} more attributes
        </button>
      ) : null}
    </aside>
  );
}

function Attribute({ one, traces }: { one: Difference; traces: Traces }) {
  return (
    <li className="difference">
      <div className="row">
        <strong className="data clip grow" title={one.name}>
          {one.name}
        </strong>
        <span className="num soft" title="Largest distance between two shares of a value">
          {formatShare(one.score)}
        </span>
      </div>
      <ul>
        {one.values.map((value) => (
          <Value key={value.literal} name={one.name} value={value} traces={traces} />
        ))}
      </ul>
      {one.isCut ? (
        <span className="faint">and more values than are counted one by one</span>
      ) : one.more > 0 ? (
        <span className="faint">and {one.more} more values</span>
      ) : null}
    </li>
  );
}

function Value({ name, value, traces }: { name: string; value: DifferentValue; traces: Traces }) {
  const only = `${name} = ${value.literal}`;
  const without = `${name} != ${value.literal}`;
  const text = value.value === null ? 'not set' : value.value === '' ? 'empty' : value.value;
  const says = `${formatShare(value.selectedShare)} of the selected, ${formatShare(value.othersShare)} of the others`;
  return (
    <li className="differenceValue" title={`${text}: ${says}`}>
      <span className={value.value === null || value.value === '' ? 'clip faint' : 'clip data'}>{text}</span>
      <span className="differenceBars" role="img" aria-label={says}>
        <span className="differenceBar selectedSwatch" style={{ width: `${value.selectedShare * 100}%` }} />
        <span className="differenceBar othersSwatch" style={{ width: `${value.othersShare * 100}%` }} />
      </span>
      <span className="num differenceShare">{formatShare(value.selectedShare)}</span>
      <button
        type="button"
        className="fieldButton"
        aria-label={`Only ${name} = ${text}`}
        title="Only these"
        onClick={() => traces.onFilter(only, without)}
      >
        =
      </button>
      <button
        type="button"
        className="fieldButton"
        aria-label={`Without ${name} = ${text}`}
        title="Without these"
        onClick={() => traces.onFilter(without, only)}
      >
        ≠
      </button>
    </li>
  );
}
