/** The account of a destination, a row for each priority class: produced = acknowledged + refused + dropped + waiting. */
import type { Lane, Reasons } from '../../api/pipelines';
import { toneOfAge, toneOfShare } from '../../lib/fleet';
import { fullIn, type History, laneKey, laneSamples, rate, trendOf } from '../../lib/flowhistory';
import { aboutSpan, backlogShare, classColour, trendSays, VERDICTS } from '../../lib/pipelines';
import { formatSpan } from '../../lib/timeformat';
import { formatBytes, formatCount, formatShare, formatValue } from '../../lib/units';

interface Props {
  name: string;
  lanes: readonly Lane[];
  history: History;
  maxBytes: number | null;
  isDown: boolean;
}

export function LaneTable({ name, lanes, history, maxBytes, isDown }: Props) {
  return (
    <div className="pipeLanes" tabIndex={0} role="region" aria-label={`Classes of ${name}`}>
      <table className="grid" aria-label={`Ledger of ${name}`}>
        <thead>
          <tr>
            <th scope="col">Class</th>
            <th scope="col" className="num" title="Items that became durable in the queue, ever">
              Produced
            </th>
            <th scope="col" className="num" title="Items the receiver said it has">
              Acknowledged
            </th>
            <th scope="col" className="num" title="Acknowledged over the last 15 seconds">
              per second
            </th>
            <th scope="col" title="Items the receiver will never take, by reason">
              Refused
            </th>
            <th scope="col" title="Items given up here, by reason">
              Dropped
            </th>
            <th scope="col" className="num" title="Items still to be sent">
              Waiting
            </th>
            <th scope="col">Direction</th>
            <th scope="col" title="Bytes of the queue behind its place, against what it may be behind">
              Backlog
            </th>
            <th scope="col" className="num" title="Age of the oldest item that waits">
              Lag
            </th>
            <th scope="col" title="What the receiver has counted, against what it acknowledged">
              Ledger
            </th>
          </tr>
        </thead>
        <tbody>
          {lanes.map((lane) => (
            <Row key={laneKey(lane)} lane={lane} history={history} maxBytes={maxBytes} isDown={isDown} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  lane: Lane;
  history: History;
  maxBytes: number | null;
  isDown: boolean;
}

function Row({ lane, history, maxBytes, isDown }: RowProps) {
  const key = laneKey(lane);
  const perSecond = rate(laneSamples(history, key, 'acknowledged'));
  const trend = trendOf(laneSamples(history, key, 'pending'));
  const direction = trendSays(trend, isDown);
  return (
    <tr>
      <th scope="row">
        <span className="row">
          <span className="swatch" style={{ background: classColour(lane.class) }} aria-hidden="true" />
          {lane.class}
        </span>
      </th>
      <td className="num">{formatCount(lane.produced)}</td>
      <td className="num">{formatCount(lane.acknowledged)}</td>
      <td className="num">{perSecond === null ? '–' : formatValue(perSecond, 'ps')}</td>
      <td>
        <ReasonList reasons={lane.refused} tone="warn" />
      </td>
      <td>
        <ReasonList reasons={lane.dropped} tone="bad" />
      </td>
      <td className="num">{formatCount(lane.pending)}</td>
      <td>
        <span className={`fresh ${direction.tone}`}>{direction.word}</span>
        {trend.kind === 'growing' ? <span className="soft"> {formatValue(trend.perSecond, 'ps')}</span> : null}
      </td>
      <td>
        <Backlog lane={lane} maxBytes={maxBytes} history={history} />
      </td>
      <td className="num">
        {lane.pending === 0 ? (
          <span className="faint">–</span>
        ) : (
          <span className={toneOfAge(lane.lagSeconds)}>{formatSpan(lane.lagSeconds)}</span>
        )}
      </td>
      <td>
        <Ledger lane={lane} />
      </td>
    </tr>
  );
}

/** Every reason, the most frequent first; there are few. */
export function ReasonList({ reasons, tone }: { reasons: Reasons; tone: 'warn' | 'bad' }) {
  const sorted = Object.entries(reasons)
    .filter(([, n]) => n > 0)
    .sort((a, b) => b[1] - a[1]);
  if (sorted.length === 0) return <span className="faint">none</span>;
  return (
    <span className="pipeReasons">
      {sorted.map(([reason, n]) => (
        <span key={reason}>
          <span className={tone}>{formatCount(n)}</span> <code>{reason}</code>
        </span>
      ))}
    </span>
  );
}

function Backlog({ lane, maxBytes, history }: { lane: Lane; maxBytes: number | null; history: History }) {
  const share = backlogShare(lane, maxBytes);
  if (maxBytes === null || !Number.isFinite(share)) return <>{formatBytes(lane.backlogBytes)}</>;
  const left = fullIn(laneSamples(history, laneKey(lane), 'backlogBytes'), maxBytes);
  const tone = toneOfShare(share);
  const text = `${formatBytes(lane.backlogBytes)} of ${formatBytes(maxBytes)}`;
  return (
    <span className="row">
      <span className="pipeTrack" role="img" aria-label={`${formatShare(share)} of the room for it`}>
        <span className={`pipeFill ${tone}`} style={{ width: `${Math.min(100, share * 100)}%` }} />
      </span>
      <span className={tone === 'good' ? 'soft' : tone}>
        {text}
        {left !== null ? `, full in ${aboutSpan(left)}` : ''}
      </span>
    </span>
  );
}

function Ledger({ lane }: { lane: Lane }) {
  const look = VERDICTS[lane.verdict];
  const apart = lane.difference !== 0 ? lane.difference : lane.receiverDifference;
  const has = lane.receiver ? `The receiver has ${formatCount(lane.receiver.taken)}` : 'The receiver does not say';
  const again = lane.receiver?.repeatedItems ? `, and saw ${formatCount(lane.receiver.repeatedItems)} again` : '';
  return (
    <span title={`${has}${again}. Source ${lane.source}.`}>
      <span className={`fresh ${look.tone}`}>{look.word}</span>
      {apart === null ? null : (
        <span className={lane.verdict === 'mismatch' ? 'bad' : 'soft'}>
          {' '}
          {apart > 0 ? '+' : ''}
          {apart < 0 ? '−' : ''}
          {formatCount(Math.abs(apart))}
        </span>
      )}
    </span>
  );
}
