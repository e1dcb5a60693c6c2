/** What is lost, stuck or wrong on the ways between nodes, worst first, and one sentence for all of it. */
import type { Destination, Lane, Pipelines } from '../api/pipelines';
import { type Tone, toneOfAge, toneOfShare } from './fleet';
import {
  fullIn,
  type History,
  increase,
  laneKey,
  laneSamples,
  lossesNow,
  sum,
  TREND_MS,
  trendOf,
  watchedMs,
} from './flowhistory';
import {
  aboutSpan,
  addressPlace,
  backlogShare,
  clustersIn,
  LATE_S,
  mainReason,
  reasonSays,
  sortLanes,
  TONE_ORDER,
  verdictSays,
  worst,
} from './pipelines';
import { formatSpan } from './timeformat';
import { formatBytes, formatCount } from './units';

export interface Finding {
  tone: Tone;
  /** Among those of one tone: lower is worse. */
  rank: number;
  /** What is wrong, in one sentence. */
  says: string;
  /** What it means or what to do next. */
  next: string;
  /** The destination it is about; empty for what is about sources. */
  destination: string;
}

const enum Rank {
  Mismatch,
  Dropping,
  Down,
  Refusing,
  Full,
  Stuck,
  Behind,
  RefusesSource,
  Silent,
  Waits,
  Dropped,
  Failover,
  Starting,
  Refused,
}

/** Silent longer than this is not an outage but somebody who left. */
const GONE_S = 86_400;
const SILENT_S = 300;

const items = (n: number) => `${formatCount(n)} ${n === 1 ? 'item' : 'items'}`;

export function findingsOf(all: Pipelines, history: History): Finding[] {
  return [
    ...all.destinations.flatMap((one) => ofDestination(one, history, all.timeMs)),
    ...all.removed.flatMap(ofRemoved),
    ...ofSources(all, history),
  ].sort((a, b) => TONE_ORDER[a.tone] - TONE_ORDER[b.tone] || a.rank - b.rank);
}

function ofDestination(one: Destination, history: History, atMs: number): Finding[] {
  const lanes = sortLanes(one.lanes);
  const about = (tone: Tone, rank: Rank, says: string, next: string) => ({
    tone,
    rank,
    says,
    next,
    destination: one.name,
  });
  const found: Finding[] = lanes.flatMap((lane) => ofLane(one, lane, history));
  const pending = lanes.reduce((all, lane) => all + lane.pending, 0);
  const { health } = one;
  const full = lanes.some((lane) => sum(lossesNow(history, laneKey(lane), 'dropped')) > 0);
  if (health.state === 'down') {
    const since =
      health.answeredMs === null
        ? 'has not answered yet'
        : `has taken nothing for ${formatSpan((atMs - health.answeredMs) / 1e3)}`;
    found.push(
      about(
        'bad',
        Rank.Down,
        `${one.name} is down: it ${since}${pending > 0 ? `, and ${items(pending)} wait` : ''}.`,
        `${health.failure ? `${health.failure}. ` : ''}${full ? 'Its room in the queue is used up: what is too much is dropped until it is back.' : 'Nothing is lost while the queue has room; sending goes on by itself when it is back.'}`,
      ),
    );
  }
  if (health.state === 'starting')
    found.push(about('warn', Rank.Starting, `${one.name} has not answered yet.`, 'The first requests are under way.'));
  if (health.state === 'up' && health.endpoint > 0)
    found.push(
      about(
        'warn',
        Rank.Failover,
        `${one.name} is reached at ${addressPlace(one)}, not at the first.`,
        'Nothing is lost by it. The first is tried again by itself, the less often the more often it fails.',
      ),
    );
  return found;
}

function ofLane(one: Destination, lane: Lane, history: History): Finding[] {
  const key = laneKey(lane);
  const of = (field: Parameters<typeof laneSamples>[2]) => laneSamples(history, key, field);
  const name = `${one.name}, ${lane.class}`;
  const found: Finding[] = [];
  const add = (tone: Tone, rank: Rank, says: string, next: string) =>
    found.push({ tone, rank, says, next, destination: one.name });
  if (lane.verdict === 'mismatch' || lane.difference !== 0) {
    const { means, next } = verdictSays(lane, one.endpoints.length, one.protocol);
    add('bad', Rank.Mismatch, `${name}: ${lowerFirst(means)}`, next);
  }
  for (const kind of ['dropped', 'refused'] as const) found.push(...lost(one, lane, kind, history));
  const full = toneOfShare(backlogShare(lane, one.maxBacklogBytes));
  const left = one.maxBacklogBytes === null ? null : fullIn(of('backlogBytes'), one.maxBacklogBytes);
  if (full === 'warn' || full === 'bad')
    add(
      full,
      Rank.Full,
      `${name}: the backlog is ${formatBytes(lane.backlogBytes)} of ${formatBytes(one.maxBacklogBytes ?? 0)}${left === null ? '' : `, full in about ${aboutSpan(left)}`}.`,
      'When it is full, the oldest items are dropped and counted as queue_full. Bring the receiver back, or raise queue.max_bytes.',
    );
  if (one.health.state === 'up' && lane.pending > 0 && lane.lagSeconds > LATE_S)
    found.push(...late(one, lane, history));
  return found;
}

const LOSSES = {
  dropped: { now: Rank.Dropping, before: Rank.Dropped, tone: 'warn', verb: 'were dropped' },
  // Refused is the receiver's word on items, and often right: it is told, and no cause for alarm once it is over.
  refused: { now: Rank.Refusing, before: Rank.Refused, tone: 'none', verb: 'were refused by the receiver' },
} as const;

function lost(one: Destination, lane: Lane, kind: keyof typeof LOSSES, history: History): Finding[] {
  const { now, before, tone, verb } = LOSSES[kind];
  const name = `${one.name}, ${lane.class}`;
  const destination = one.name;
  const rising = lossesNow(history, laneKey(lane), kind);
  if (sum(rising) > 0) {
    const reason = mainReason(rising);
    const says = `${name}: ${items(sum(rising))} ${verb} in the last minute (${reason}).`;
    return [{ tone: 'bad', rank: now, says, next: reasonSays(reason), destination }];
  }
  if (sum(lane[kind]) === 0) return [];
  const reason = mainReason(lane[kind]);
  const lately = watchedMs(history) >= TREND_MS ? ', none in the last minute' : '';
  const says = `${name}: ${items(sum(lane[kind]))} ${verb} since it was set up (${reason})${lately}.`;
  return [{ tone, rank: before, says, next: reasonSays(reason), destination }];
}

/** It takes what it is sent, and this class is behind all the same. */
function late(one: Destination, lane: Lane, history: History): Finding[] {
  const key = laneKey(lane);
  const trend = trendOf(laneSamples(history, key, 'pending'));
  const sent = laneSamples(history, key, 'acknowledged');
  const behind = `${one.name}, ${lane.class}: ${formatSpan(lane.lagSeconds)} behind with ${items(lane.pending)} to send`;
  const about = (tone: Tone, rank: Rank, says: string, next: string): Finding[] => [
    { tone, rank, says, next, destination: one.name },
  ];
  if (watchedMs(history) >= TREND_MS && increase(sent, TREND_MS) === 0)
    return about(
      'bad',
      Rank.Stuck,
      `${behind}, and nothing of it was taken in the last minute.`,
      'Other classes may go first, or the receiver asks for patience (429). Look at its limits and at the log of this node.',
    );
  if (trend.kind === 'draining')
    return about(
      'warn',
      Rank.Behind,
      `${behind}; empty in about ${aboutSpan(trend.secondsLeft)}.`,
      'It is catching up by itself.',
    );
  return about(
    toneOfAge(lane.lagSeconds),
    Rank.Behind,
    `${behind}${trend.kind === 'growing' ? ', and growing' : ''}.`,
    'It takes less than there is to send. Select less for it, or look at what limits the receiver or the link.',
  );
}

function ofRemoved(lane: Lane): Finding[] {
  if (lane.pending === 0) return [];
  const says = `${lane.destination}, ${lane.class}: no longer configured, and ${items(lane.pending)} still wait for it.`;
  const next = 'They are dropped as destination_removed. Configure it again under the same name to send what is left.';
  return [{ tone: 'warn', rank: Rank.Waits, says, next, destination: '' }];
}

function ofSources(all: Pipelines, history: History): Finding[] {
  return clustersIn(all, history).flatMap(({ cluster, lastMs, refused }): Finding[] => {
    const name = cluster || 'a sender that names no cluster';
    const age = (all.timeMs - lastMs) / 1e3;
    if (sum(refused) > 0) {
      const reason = mainReason(refused);
      const says = `This node refused ${items(sum(refused))} of ${name} in the last minute (${reason}).`;
      return [
        {
          tone: 'bad',
          rank: Rank.RefusesSource,
          says,
          next: reasonSays(reason).replace(/\bthe receiver\b/gi, 'this node'),
          destination: '',
        },
      ];
    }
    if (age < SILENT_S || age > GONE_S) return [];
    const says = `Nothing came from ${name} for ${formatSpan(age)}.`;
    const next = 'Look at its own pipelines page: if it is up, what it has waits there.';
    return [{ tone: 'warn', rank: Rank.Silent, says, next, destination: '' }];
  });
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

export interface Headline {
  tone: Tone;
  says: string;
  /** The finding that it says, where something is wrong. */
  of?: Finding;
}

/** The first thing to read: the worst that is wrong, or that nothing is. */
export function headlineOf(all: Pipelines, found: readonly Finding[]): Headline {
  const wrong = found.filter((one) => one.tone === 'bad' || one.tone === 'warn');
  const [first] = wrong;
  if (first) return { tone: worst(wrong.map((one) => one.tone)), says: first.says, of: first };
  if (all.destinations.length === 0) return { tone: all.sources.length > 0 ? 'good' : 'none', says: intake(all) };
  return { tone: 'good', says: `${ups(all.destinations)}, ${losses(all)}, and ${agreement(all)}.` };
}

function intake(all: Pipelines): string {
  if (all.sources.length === 0) return 'Nothing is sent onward, and no other node sends here.';
  const clusters = new Set(all.sources.map((one) => one.cluster).filter(Boolean)).size;
  if (clusters === 1) return 'One cluster sends here, was heard lately, and nothing of it is refused now.';
  const who = clusters === 0 ? 'Other nodes send' : `${formatCount(clusters)} clusters send`;
  return `${who} here, all were heard lately, and nothing of theirs is refused now.`;
}

function ups(all: readonly Destination[]): string {
  const [first] = all;
  const up = all.filter((one) => one.health.state === 'up').length;
  const idle = all.length - up;
  if (all.length === 1) return idle > 0 ? `${first?.name} is idle` : `${first?.name} is up`;
  if (idle === 0)
    return all.length === 2 ? 'Both destinations are up' : `All ${formatCount(all.length)} destinations are up`;
  return up === 0
    ? `All ${formatCount(all.length)} destinations are idle`
    : `${formatCount(up)} of ${formatCount(all.length)} destinations are up, the others idle`;
}

function losses(all: Pipelines): string {
  const refused = all.destinations.flatMap((one) => one.lanes).reduce((sumOf, lane) => sumOf + sum(lane.refused), 0);
  return refused === 0
    ? 'nothing was dropped or refused'
    : `nothing was dropped, ${items(refused)} ${refused === 1 ? 'was' : 'were'} refused earlier and none lately`;
}

function agreement(all: Pipelines): string {
  const lanes = all.destinations.flatMap((one) => one.lanes);
  const compared = lanes.filter((lane) => lane.verdict !== 'unknown');
  const waits = compared.reduce((sumOf, lane) => sumOf + lane.pending, 0);
  const way = waits > 0 ? `, with ${items(waits)} under way` : '';
  if (lanes.length === 0) return 'nothing was sent yet';
  if (compared.length === 0) return 'no receiver has a ledger to compare with';
  if (compared.length === lanes.length) return `the ledgers agree${way}`;
  return `the ledgers agree where the receiver has one (${compared.length} of ${lanes.length} classes)${way}`;
}
