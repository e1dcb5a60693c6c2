/** One destination: how it is, and its classes with all that became of what was meant for it. */
import { useMemo } from 'react';
import type { Destination, Lane } from '../../api/pipelines';
import { Sparkline } from '../../chart/Sparkline';
import { addressText } from '../../lib/addresses';
import { addRates, addSamples, type History, laneKey, laneSamples, rate, rateSamples } from '../../lib/flowhistory';
import {
  addReasons,
  addressPlace,
  destinationTone,
  HEALTH,
  reasonSays,
  selectionText,
  sortLanes,
  explain,
  VERDICTS,
  worst,
} from '../../lib/pipelines';
import { formatDateTime, formatSpan } from '../../lib/timeformat';
import { formatCount, formatValue } from '../../lib/units';
import { useView } from '../../state/view';
import { LanePlots } from './LanePlots';
import { LaneTable } from './LaneTable';

interface Props {
  destination: Destination;
  history: History;
  atMs: number;
  open: boolean;
  onToggle: () => void;
}

export function idOf(name: string): string {
  return `destination ${name}`.replace(/\s/g, '-');
}

export function DestinationCard({ destination: one, history, atMs, open, onToggle }: Props) {
  const lanes = useMemo(() => sortLanes(one.lanes), [one.lanes]);
  const look = HEALTH[one.health.state];
  const verdict = worst(lanes.map((lane) => VERDICTS[lane.verdict].tone));
  const acknowledged = lanes.map((lane) => laneSamples(history, laneKey(lane), 'acknowledged'));
  const perSecond = addRates(acknowledged.map((samples) => rate(samples)));
  const curve = addSamples(acknowledged.map(rateSamples)).map((sample) => sample.value);
  const pending = lanes.reduce((all, lane) => all + lane.pending, 0);
  return (
    <section
      id={idOf(one.name)}
      className="panel pipeCard"
      aria-label={`Destination ${one.name}`}
      data-tone={destinationTone(one)}
      tabIndex={-1}
    >
      <div className="row pipeCardHead">
        <button
          type="button"
          className="btn quiet"
          aria-expanded={open}
          aria-label={`${open ? 'Fold' : 'Unfold'} ${one.name}`}
          onClick={onToggle}
        >
          {open ? '▾' : '▸'}
        </button>
        <h2 className="clip">{one.name}</h2>
        <span className="tag">{one.protocol}</span>
        <span className={`fresh ${look.tone}`} title={look.says}>
          {look.word}
        </span>
        <span className="soft">{pending > 0 ? `${formatCount(pending)} wait` : 'nothing waits'}</span>
        {lanes.length > 0 ? <span className={`fresh ${verdict}`}>ledger {verdictWord(lanes)}</span> : null}
        <span className="grow" />
        <Sparkline values={curve} colour="var(--series-0)" width={90} height={18} />
        <span className="num pipeCardRate">
          {perSecond === null ? '–' : formatValue(perSecond, 'ps')} <span className="soft">acknowledged</span>
        </span>
      </div>
      {open ? (
        <>
          <Facts destination={one} atMs={atMs} />
          {lanes.length === 0 ? (
            <p className="pipeNote soft">Nothing was meant for it yet. A class stands here from its first item on.</p>
          ) : (
            <>
              <LaneTable
                lanes={lanes}
                history={history}
                maxBytes={one.maxBacklogBytes}
                name={one.name}
                isDown={one.health.state === 'down'}
              />
              <Explained lanes={lanes} destination={one} />
              <LanePlots lanes={lanes} history={history} atMs={atMs} name={one.name} />
            </>
          )}
        </>
      ) : null}
    </section>
  );
}

/** The worst of its classes. */
function verdictWord(lanes: readonly Lane[]): string {
  const order = ['mismatch', 'unknown', 'under_way', 'equal'] as const;
  const found = order.find((verdict) => lanes.some((lane) => lane.verdict === verdict)) ?? 'unknown';
  return VERDICTS[found].word.toLowerCase();
}

function Facts({ destination: one, atMs }: { destination: Destination; atMs: number }) {
  const { zone } = useView();
  const { health } = one;
  const ago = (ms: number) => `${formatSpan(Math.max(0, (atMs - ms) / 1e3))} ago`;
  const place = addressPlace(one);
  return (
    <dl className="pipeFacts">
      <dt>Address</dt>
      <dd>
        <code>{addressText(one.endpoints[health.endpoint] ?? one.endpoints[0] ?? 'not told')}</code>
        {place ? (
          <span className={health.endpoint > 0 ? 'warn' : 'soft'} title={one.endpoints.map(addressText).join('\n')}>
            {' '}
            {place}
          </span>
        ) : null}
      </dd>
      <dt>Answered</dt>
      <dd title={health.answeredMs === null ? undefined : formatDateTime(health.answeredMs, zone)}>
        {health.answeredMs === null ? 'never since this node started' : ago(health.answeredMs)}
      </dd>
      <dt>Last failure</dt>
      <dd title={health.failedMs === null ? undefined : formatDateTime(health.failedMs, zone)}>
        {health.failedMs === null ? (
          'none since this node started'
        ) : (
          <span className={health.state === 'down' ? 'bad' : undefined}>
            {ago(health.failedMs)}: <span className="pipeFailure">{health.failure || 'without a reason'}</span>
          </span>
        )}
      </dd>
      <dt>Selects</dt>
      <dd>{selectionText(one)}</dd>
    </dl>
  );
}

/** What the verdicts and reasons in the table above mean; said once each. */
function Explained({ lanes, destination }: { lanes: readonly Lane[]; destination: Destination }) {
  const said = explain(lanes, destination.endpoints.length, destination.protocol);
  const reasons = Object.keys(lanes.reduce((all, lane) => addReasons(addReasons(all, lane.dropped), lane.refused), {}));
  return (
    <ul className="pipeExplained" aria-label={`What it means for ${destination.name}`}>
      {said.map((one) => (
        <li key={`${one.verdict} ${one.next}`}>
          <span className={`fresh ${VERDICTS[one.verdict].tone}`}>{VERDICTS[one.verdict].word}</span>{' '}
          <span className="soft">
            {one.means.map(({ classes, text }) => (lanes.length > 1 ? `${classes.join(', ')}: ${text} ` : `${text} `))}
            {one.next}
          </span>
        </li>
      ))}
      {reasons.map((reason) => (
        <li key={reason}>
          <code>{reason}</code> <span className="soft">{reasonSays(reason)}</span>
        </li>
      ))}
    </ul>
  );
}
