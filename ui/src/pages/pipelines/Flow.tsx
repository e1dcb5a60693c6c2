/** The way of telemetry through this node in one picture: who sends, what waits, where it goes. Words repeat every line. */
import { useMemo } from 'react';
import type { Destination, Pipelines } from '../../api/pipelines';
import type { Tone } from '../../lib/fleet';
import { addRates, type History, laneKey, laneSamples, rate, sourceSamples, sum } from '../../lib/flowhistory';
import { type ClusterIntake, clustersIn, destinationTone, HEALTH, sortDestinations } from '../../lib/pipelines';
import { formatSpan } from '../../lib/timeformat';
import { formatBytes, formatCount, formatValue } from '../../lib/units';

interface Props {
  data: Pipelines;
  history: History;
  onShow: (destination: string) => void;
}

/** Lines on either side before the rest is counted: more cannot be followed by eye. */
const MOST = 6;
const BOX_PX = 50;
const STEP_PX = 58;

interface Box {
  key: string;
  tone: Tone;
  name: string;
  facts: string;
  /** Items per second; null where it is not known. */
  perSecond: number | null;
  onClick?: () => void;
}

export function Flow({ data, history, onShow }: Props) {
  const from = useMemo(() => sourceBoxes(data, history), [data, history]);
  const to = useMemo(() => destinationBoxes(data, history, onShow), [data, history, onShow]);
  const rows = Math.max(from.length, to.length, 1);
  const height = rows * STEP_PX - (STEP_PX - BOX_PX);
  return (
    <section className="panel pipeFlow" aria-label="From sources through this node to destinations">
      <div className="pipeFlowGrid">
        <Column label="Sources" boxes={from} height={height} />
        <Lines boxes={from} height={height} isInward />
        <NodeBox data={data} />
        {to.length > 0 ? (
          <>
            <Lines boxes={to} height={height} />
            <Column label="Destinations" boxes={to} height={height} />
          </>
        ) : null}
      </div>
    </section>
  );
}

function Column({ label, boxes, height }: { label: string; boxes: readonly Box[]; height: number }) {
  return (
    <div className="pipeColumn">
      <h3>{label}</h3>
      <ul style={{ minHeight: height, gap: STEP_PX - BOX_PX, paddingTop: topOf(boxes.length, height) }}>
        {boxes.map((one) => (
          <li key={one.key} className="pipeBox" data-tone={one.tone} style={{ height: BOX_PX }}>
            <span className="row">
              {one.onClick ? (
                <button type="button" className="linkish clip grow pipeBoxName" onClick={one.onClick}>
                  {one.name}
                </button>
              ) : (
                <strong className="clip grow">{one.name}</strong>
              )}
              <span className="num pipeRate">{one.perSecond === null ? '' : formatValue(one.perSecond, 'ps')}</span>
            </span>
            <span className={`fresh clip ${one.tone}`} title={one.facts}>
              {one.facts}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function topOf(count: number, height: number): number {
  return Math.max(0, (height - (count * STEP_PX - (STEP_PX - BOX_PX))) / 2);
}

/** Stretched to the width between the columns; only the words beside it are read out. */
function Lines({ boxes, height, isInward = false }: { boxes: readonly Box[]; height: number; isInward?: boolean }) {
  const top = topOf(boxes.length, height);
  return (
    <svg
      className="pipeLines"
      viewBox={`0 0 100 ${height}`}
      height={height}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {boxes.map((one, i) => {
        const y = top + i * STEP_PX + BOX_PX / 2;
        const [a, b] = isInward ? [y, height / 2] : [height / 2, y];
        return (
          <path
            key={one.key}
            className="pipeLine"
            data-tone={one.tone}
            data-still={one.perSecond ? undefined : ''}
            d={`M0 ${a}C50 ${a} 50 ${b} 100 ${b}`}
            strokeWidth={widthOf(one.perSecond)}
            vectorEffect="non-scaling-stroke"
          />
        );
      })}
    </svg>
  );
}

/** A pixel for each power of ten. */
function widthOf(perSecond: number | null): number {
  return 1.25 + Math.min(5, Math.log10(1 + (perSecond ?? 0)));
}

function NodeBox({ data }: { data: Pipelines }) {
  const lanes = data.destinations.flatMap((one) => one.lanes);
  const lag = Math.max(0, ...lanes.map((lane) => lane.lagSeconds));
  return (
    <div className="pipeNodeBox">
      <strong className="clip">{data.replica ? `${data.cluster}/${data.replica}` : data.cluster}</strong>
      {data.destinations.length === 0 ? (
        <span className="soft">keeps what comes, sends nothing onward</span>
      ) : (
        <dl>
          <dt>Queue on disk</dt>
          <dd className="num">{formatBytes(data.heldBytes)}</dd>
          <dt>Oldest waiting</dt>
          <dd className="num">{lag > 0 ? formatSpan(lag) : 'nothing waits'}</dd>
        </dl>
      )}
    </div>
  );
}

function sourceBoxes(data: Pipelines, history: History): Box[] {
  const clusters = clustersIn(data, history);
  const shown = clusters.slice(0, MOST).map((one) => sourceBox(one, data.timeMs, history));
  const rest = clusters.length - shown.length;
  if (rest > 0) shown.push(restBox(rest, 'clusters'));
  if (data.destinations.length > 0)
    shown.push({
      key: '\u0000own',
      tone: 'none',
      name: 'Sent and collected here',
      facts: 'by everything but other nodes',
      perSecond: null,
    });
  return shown;
}

function sourceBox(one: ClusterIntake, atMs: number, history: History): Box {
  const rates = one.sources.map((source) => rate(sourceSamples(history, source.source, 'taken')));
  const refused = sum(one.refused);
  const heard = `heard ${formatSpan(Math.max(0, (atMs - one.lastMs) / 1e3))} ago`;
  return {
    key: one.cluster,
    tone: one.tone,
    name: one.cluster || 'names no cluster',
    facts: refused > 0 ? `${formatCount(refused)} refused, ${heard}` : heard,
    perSecond: addRates(rates),
  };
}

function destinationBoxes(data: Pipelines, history: History, onShow: Props['onShow']): Box[] {
  const sorted = sortDestinations(data.destinations);
  const shown: Box[] = sorted.slice(0, MOST).map((one) => ({
    key: one.name,
    tone: destinationTone(one),
    name: one.name,
    facts: factsOf(one),
    perSecond: addRates(one.lanes.map((lane) => rate(laneSamples(history, laneKey(lane), 'acknowledged')))),
    onClick: () => onShow(one.name),
  }));
  const rest = sorted.length - shown.length;
  return rest > 0 ? [...shown, restBox(rest, 'destinations')] : shown;
}

function restBox(count: number, what: string): Box {
  return {
    key: '\u0000rest',
    tone: 'good',
    name: `${formatCount(count)} more ${what}`,
    facts: 'none of them worse',
    perSecond: null,
  };
}

function factsOf(one: Destination): string {
  const pending = one.lanes.reduce((all, lane) => all + lane.pending, 0);
  const dropped = one.lanes.reduce((all, lane) => all + sum(lane.dropped), 0);
  const lag = Math.max(0, ...one.lanes.map((lane) => lane.lagSeconds));
  const isApart = one.lanes.some((lane) => lane.verdict === 'mismatch');
  const word = HEALTH[one.health.state].word;
  return [
    ...(isApart ? [`Ledger mismatch; ${word.toLowerCase()}`] : [word]),
    pending > 0 ? `${formatCount(pending)} wait, ${formatSpan(lag)} behind` : 'nothing waits',
    ...(dropped > 0 ? [`${formatCount(dropped)} dropped`] : []),
  ].join(', ');
}
