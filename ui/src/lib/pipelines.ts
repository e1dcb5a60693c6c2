/** What the pipelines page says of lanes, destinations and sources: words, tones, order. */
import type { Destination, Health, HealthState, Lane, Pipelines, Reasons, Source, Verdict } from '../api/pipelines';
import { type Tone, toneOfAge, toneOfShare } from './fleet';
import { type History, increase, refusedNow, sourceSamples, sum, TREND_MS, type Trend } from './flowhistory';
import { formatSpan } from './timeformat';
import { formatCount } from './units';

interface Look {
  word: string;
  tone: Tone;
}

export const HEALTH: Record<HealthState, Look & { says: string }> = {
  up: { word: 'Up', tone: 'good', says: 'The last request was taken.' },
  down: {
    word: 'Down',
    tone: 'bad',
    says: 'The last request was not taken. It is tried again; items wait in the queue.',
  },
  starting: { word: 'Starting', tone: 'warn', says: 'Items wait, and nothing was answered yet.' },
  idle: { word: 'Idle', tone: 'none', says: 'Nothing to send for a while.' },
  unknown: { word: 'Not told', tone: 'none', says: 'The node does not say.' },
};

export const VERDICTS: Record<Verdict, Look> = {
  equal: { word: 'Equal', tone: 'good' },
  under_way: { word: 'Under way', tone: 'good' },
  mismatch: { word: 'Mismatch', tone: 'bad' },
  unknown: { word: 'Not compared', tone: 'none' },
};

const items = (n: number) => `${formatCount(n)} ${n === 1 ? 'item' : 'items'}`;

/** A verdict for somebody who has not slept: what it means, and what to do. */
export function verdictSays(lane: Lane, addresses: number, protocol: string): { means: string; next: string } {
  const apart = lane.receiverDifference ?? 0;
  if (lane.difference !== 0) {
    return {
      means: `This node cannot account for ${items(Math.abs(lane.difference))}: what it produced is not the sum of what became of it.`,
      next: 'That is a fault of this node, not of the receiver. Keep its log and data_dir/forward before anything is restarted, and report it.',
    };
  }
  switch (lane.verdict) {
    case 'equal':
      return { means: 'Both ends have counted the same items, and none is under way.', next: '' };
    case 'under_way':
      return {
        means: `What was acknowledged and what the receiver has may differ by the ${items(lane.pending)} that still wait or are being sent.`,
        next: 'Nothing to do: once nothing waits, it becomes equal or a mismatch.',
      };
    case 'unknown':
      return { means: unknownMeans(addresses, protocol), next: '' };
    case 'mismatch':
      return apart > 0
        ? {
            means: `The receiver has ${items(apart)} fewer than it acknowledged.`,
            next: 'It took them and no longer knows of them. Look whether its disk was lost or put back from a backup, or whether another node answers at its address now. What is sent from here on is counted as before.',
          }
        : {
            means: `The receiver has counted ${items(-apart)} more than were acknowledged here.`,
            next: 'Look whether this node was put back from a backup, or a copy of its data directory runs elsewhere and sends under the same numbers.',
          };
  }
}

export interface Explanation {
  verdict: Verdict;
  means: { classes: string[]; text: string }[];
  next: string;
}

/** The verdicts of a destination: what is the same for several classes is said once. */
export function explain(lanes: readonly Lane[], addresses: number, protocol: string): Explanation[] {
  const all: Explanation[] = [];
  for (const lane of lanes) {
    const { means: text, next } = verdictSays(lane, addresses, protocol);
    const same = (one: Explanation) => one.verdict === lane.verdict && one.next === next;
    const found = all.find(same) ?? { verdict: lane.verdict, means: [], next };
    if (!all.includes(found)) all.push(found);
    const said = found.means.find((one) => one.text === text);
    if (said) said.classes.push(lane.class);
    else found.means.push({ classes: [lane.class], text });
  }
  return all;
}

function unknownMeans(addresses: number, protocol: string): string {
  if (protocol === 'elasticsearch')
    return 'Documents are told apart by ids of their own there, so there is nothing to compare. What was acknowledged is what it said it has.';
  const who = addresses > 1 ? `not all of its ${addresses} addresses answered` : 'it did not answer';
  return `The receiver is no Orrery node and keeps no ledger, or ${who}. What was acknowledged is what it said it has.`;
}

/** What a reason means, and what to do about it. */
export function reasonSays(reason: string): string {
  const known = REASONS[reason];
  if (known) return known;
  const status = /^http_(\d{3})$/.exec(reason)?.[1];
  if (status)
    return `The receiver answered ${status}: it will never take these. Its log says why; so does the last failure.`;
  if (reason.startsWith('grpc_'))
    return `The receiver answered ${reason.slice(5).replace(/_/g, ' ')}: it will never take these. Its log says why.`;
  return 'The receiver gave this as its reason.';
}

const REASONS: Readonly<Record<string, string>> = {
  queue_full:
    'It was further behind than queue.max_bytes allows, so the oldest were given up. Bring the receiver back, or give the queue more room.',
  destination_removed: 'They still waited when the destination was taken out of the configuration.',
  lost_on_disk: 'The files of the queue on this node lost them. Look at the disk.',
  unreadable: 'The queue holds what this version cannot read, perhaps of a newer version that ran here before.',
  partial_success: 'The receiver took the rest of the request and refused these. Its log says why.',
  unconfirmed: 'The receiver answered with success and did not say that it wrote these.',
  unsupported: 'The protocol cannot carry them.',
  too_large: 'One item alone is larger than the receiver takes. Raise the limit there.',
  too_old: 'They are older than the receiver takes.',
  too_far_in_future: 'Their time lies too far ahead. Look at the clocks.',
  duplicate_conflict: 'The receiver has another value for the same series and time.',
  invalid_labels: 'Their labels are not allowed at the receiver.',
  invalid_item: 'The receiver does not understand them.',
  series_limit: 'The receiver has as many series as it may.',
  other_cluster: 'They name another cluster than the certificate of the sender.',
};

/** A direction in words that need no colour. Of a destination that is down nothing flows, whatever the last seconds show. */
export function trendSays(trend: Trend, isDown = false): Look {
  switch (trend.kind) {
    case 'unknown':
      return { word: 'watching', tone: 'none' };
    case 'empty':
      return { word: 'empty', tone: 'good' };
    case 'flowing':
      return isDown ? { word: 'waiting', tone: 'none' } : { word: 'flowing', tone: 'good' };
    case 'steady':
      return { word: 'steady', tone: 'none' };
    case 'growing':
      return { word: 'growing', tone: 'warn' };
    case 'draining':
      return { word: `draining, empty in ${aboutSpan(trend.secondsLeft)}`, tone: 'good' };
  }
}

const LONG_S = 30 * 86_400;

/** An estimate: no finer than it is. */
export function aboutSpan(seconds: number): string {
  if (seconds > LONG_S) return 'over a month';
  return seconds < 10 ? 'seconds' : formatSpan(seconds);
}

const PRIORITY = ['critical', 'metrics', 'traces', 'logs'];

/** By priority, as they give way to each other. */
export function sortLanes(lanes: readonly Lane[]): Lane[] {
  const place = (lane: Lane) => (PRIORITY.includes(lane.class) ? PRIORITY.indexOf(lane.class) : PRIORITY.length);
  return [...lanes].sort((a, b) => place(a) - place(b) || a.class.localeCompare(b.class));
}

const SLOTS: Readonly<Record<string, number>> = { critical: 1, metrics: 0, traces: 3, logs: 2 };

/** The same colour for a class on every page that draws signals. */
export function classColour(name: string): string {
  return `var(--series-${SLOTS[name] ?? 8})`;
}

/** The order of what needs somebody. */
export const TONE_ORDER: Record<Tone, number> = { bad: 0, warn: 1, none: 2, good: 3 };

/** What waits longer than this is late. */
export const LATE_S = 60;

/** A destination is as bad as the worst that is known of it. */
export function destinationTone(one: Destination): Tone {
  const tones: Tone[] = [HEALTH[one.health.state].tone];
  for (const lane of one.lanes) {
    tones.push(VERDICTS[lane.verdict].tone, sum(lane.dropped) > 0 ? 'warn' : 'good');
    const full = toneOfShare(backlogShare(lane, one.maxBacklogBytes));
    if (full === 'warn' || full === 'bad') tones.push(full);
    if (lane.pending > 0 && lane.lagSeconds > LATE_S) tones.push('warn');
  }
  return worst(tones.filter((tone) => tone !== 'none' || one.health.state !== 'up'));
}

export function worst(tones: readonly Tone[]): Tone {
  return [...tones].sort((a, b) => TONE_ORDER[a] - TONE_ORDER[b])[0] ?? 'good';
}

export function backlogShare(lane: Pick<Lane, 'backlogBytes'>, maxBytes: number | null): number {
  return maxBytes ? lane.backlogBytes / maxBytes : NaN;
}

/** Worst first, otherwise as configured. */
export function sortDestinations(all: readonly Destination[]): Destination[] {
  return [...all].sort((a, b) => TONE_ORDER[destinationTone(a)] - TONE_ORDER[destinationTone(b)]);
}

/** Which of several addresses is in use; empty where there is one. */
export function addressPlace(one: Pick<Destination, 'endpoints'> & { health: Pick<Health, 'endpoint'> }): string {
  return one.endpoints.length > 1 ? `address ${one.health.endpoint + 1} of ${one.endpoints.length}` : '';
}

/** What of everything goes there, as the configuration says. */
export function selectionText({ selection }: Pick<Destination, 'selection'>): string {
  const rules = (n: number, what: string) => (n > 0 ? [`${n} ${what} ${n === 1 ? 'rule' : 'rules'}`] : []);
  return [
    selection.signals.length > 0 ? selection.signals.join(', ') : 'every signal it carries',
    selection.tenants.length > 0 ? `tenants ${selection.tenants.join(', ')}` : 'all tenants',
    ...rules(selection.seriesRules, 'series'),
    ...rules(selection.resourceRules, 'resource'),
    ...(selection.critical > 0
      ? [`${selection.critical} critical ${selection.critical === 1 ? 'selector' : 'selectors'}`]
      : []),
  ].join(' · ');
}

export interface SourceState {
  rank: number;
  tone: Tone;
  word: string;
}

/** Refusing now, then silent, then heard; a source is one class, so silence of one may be only that. */
export function sourceState(one: Source, history: History, atMs: number): SourceState {
  if (sum(refusedNow(history, one.source)) > 0) return { rank: 0, tone: 'bad', word: 'refused now' };
  const age = ageOf(one, atMs);
  const tone = toneOfAge(age);
  if (tone === 'bad') return { rank: 1, tone, word: 'silent' };
  if (tone === 'warn') return { rank: 2, tone, word: 'quiet' };
  if (increase(sourceSamples(history, one.source, 'repeated'), TREND_MS) > 0)
    return { rank: 3, tone: 'warn', word: 'sends again' };
  return { rank: 4, tone: 'good', word: 'heard' };
}

/** Seconds since it was heard. */
export function ageOf(one: Pick<Source, 'lastMs'>, atMs: number): number {
  return Math.max(0, (atMs - one.lastMs) / 1e3);
}

/** Words of a row that a filter looks through. */
export function fitsSource(one: Source, find: string): boolean {
  const row = [one.cluster, one.signal, one.from, one.source, ...Object.keys(one.refused)].join(' ').toLowerCase();
  return find
    .toLowerCase()
    .split(/\s+/)
    .every((word) => row.includes(word));
}

export interface ClusterIntake {
  cluster: string;
  sources: Source[];
  /** Of the source heard last. */
  lastMs: number;
  /** Of the last minute. */
  refused: Reasons;
  tone: Tone;
}

/** Who sends here, a line per cluster: those that are refused or silent first, then those heard last. */
export function clustersIn(all: Pipelines, history: History): ClusterIntake[] {
  const byCluster = new Map<string, Source[]>();
  for (const one of all.sources) byCluster.set(one.cluster, [...(byCluster.get(one.cluster) ?? []), one]);
  return [...byCluster]
    .map(([cluster, sources]) => {
      const lastMs = Math.max(...sources.map((one) => one.lastMs));
      const refused = sources.map((one) => refusedNow(history, one.source)).reduce(addReasons, {});
      const tone: Tone = sum(refused) > 0 ? 'bad' : toneOfAge(ageOf({ lastMs }, all.timeMs));
      return { cluster, sources, lastMs, refused, tone };
    })
    .sort(
      (a, b) => TONE_ORDER[a.tone] - TONE_ORDER[b.tone] || b.lastMs - a.lastMs || a.cluster.localeCompare(b.cluster),
    );
}

export function addReasons(a: Reasons, b: Reasons): Reasons {
  const sums: Record<string, number> = { ...a };
  for (const [reason, n] of Object.entries(b)) sums[reason] = (sums[reason] ?? 0) + n;
  return sums;
}

/** The reason of most of them. */
export function mainReason(reasons: Reasons): string {
  return Object.entries(reasons).sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}
