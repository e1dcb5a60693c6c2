/**
 * What a page about pipelines remembers of the answers it saw: rates, and whether a backlog grows or drains. Pure; times
 * are those of the node that answered.
 */
import type { Lane, Pipelines, Reasons, Source } from '../api/pipelines';
import type { Columns } from './series';

/** Numbers of one lane at one moment. */
export interface Point {
  acknowledged: number;
  pending: number;
  backlogBytes: number;
  lagSeconds: number;
  refused: Reasons;
  dropped: Reasons;
}

interface Intake {
  taken: number;
  repeated: number;
  refused: Reasons;
}

type Numbers<T> = { [K in keyof T]: T[K] extends number ? K : never }[keyof T];

interface Poll {
  atMs: number;
  lanes: ReadonlyMap<string, Point>;
}

interface Heard {
  atMs: number;
  sources: ReadonlyMap<string, Intake>;
}

export interface History {
  /** Oldest first. */
  polls: readonly Poll[];
  /** Sources are many: of them only what a rate needs is kept. */
  heard: readonly Heard[];
}

export const NO_HISTORY: History = { polls: [], heard: [] };

/** How much the plots show. */
export const KEEP_MS = 300_000;
/** What counts as now: several polls, so that senders that send every few seconds have a rate. */
export const RATE_MS = 15_000;
/** Over which a backlog is judged: longer than the usual scrape interval, which fills it in steps. */
export const TREND_MS = 60_000;
/** Less than this says nothing of a direction. */
const LEAST_TREND_MS = 10_000;
/** Answers further apart are not joined: the page was hidden, or the node away. */
const GAP_MS = 15_000;

export function laneKey(lane: Pick<Lane, 'destination' | 'class' | 'source'>): string {
  return `${lane.destination}\u0000${lane.class}\u0000${lane.source}`;
}

export function sum(reasons: Reasons): number {
  return Object.values(reasons).reduce((all, n) => all + n, 0);
}

/** The same answer twice is once; a clock that was put back begins anew. */
export function remember(history: History, seen: Pipelines): History {
  const last = history.polls.at(-1)?.atMs ?? -Infinity;
  if (seen.timeMs === last) return history;
  const before = seen.timeMs < last ? NO_HISTORY : history;
  const lanes = new Map(seen.destinations.flatMap((one) => one.lanes).map((lane) => [laneKey(lane), pointOf(lane)]));
  const sources = new Map(seen.sources.map((one) => [one.source, intakeOf(one)]));
  return {
    polls: [...before.polls.filter((one) => one.atMs >= seen.timeMs - KEEP_MS), { atMs: seen.timeMs, lanes }],
    heard: [...before.heard.filter((one) => one.atMs >= seen.timeMs - TREND_MS), { atMs: seen.timeMs, sources }],
  };
}

function pointOf(lane: Lane): Point {
  const { acknowledged, pending, backlogBytes, lagSeconds, refused, dropped } = lane;
  return { acknowledged, pending, backlogBytes, lagSeconds, refused, dropped };
}

function intakeOf(one: Source): Intake {
  return { taken: one.taken, repeated: one.repeatedItems, refused: one.refused };
}

export interface Sample {
  atMs: number;
  value: number;
}

function* seen<T>(moments: Iterable<readonly [number, ReadonlyMap<string, T>]>, key: string): Generator<[number, T]> {
  for (const [atMs, all] of moments) {
    const one = all.get(key);
    if (one !== undefined) yield [atMs, one];
  }
}

const lanesSeen = (history: History, key: string) => [
  ...seen(
    history.polls.map((poll) => [poll.atMs, poll.lanes] as const),
    key,
  ),
];

const sourcesSeen = (history: History, source: string) => [
  ...seen(
    history.heard.map((one) => [one.atMs, one.sources] as const),
    source,
  ),
];

/** One number of one lane, oldest first. */
export function laneSamples(history: History, key: string, field: Numbers<Point>): Sample[] {
  return lanesSeen(history, key).map(([atMs, point]) => ({ atMs, value: point[field] }));
}

export function sourceSamples(history: History, source: string, field: Numbers<Intake>): Sample[] {
  return sourcesSeen(history, source).map(([atMs, intake]) => ({ atMs, value: intake[field] }));
}

/** What one lane lost over the last minute, by the reasons that rose. */
export function lossesNow(history: History, key: string, field: 'refused' | 'dropped'): Reasons {
  return risen(lanesSeen(history, key).map(([atMs, point]) => [atMs, point[field]]));
}

/** What was refused of one source over the last minute. */
export function refusedNow(history: History, source: string): Reasons {
  return risen(sourcesSeen(history, source).map(([atMs, intake]) => [atMs, intake.refused]));
}

function risen(moments: readonly (readonly [number, Reasons])[]): Reasons {
  const names = Object.keys(moments.at(-1)?.[1] ?? {});
  const rises = names.map((name) => {
    const samples = moments.map(([atMs, reasons]) => ({ atMs, value: reasons[name] ?? 0 }));
    return [name, increase(samples, TREND_MS)] as const;
  });
  return Object.fromEntries(rises.filter(([, by]) => by > 0));
}

const WINDOWS_MS = [60_000, 120_000, KEEP_MS];

/** What the plots show: the shortest of a few windows that holds all that was seen, so that it seldom jumps. */
export function windowMs(history: History): number {
  const { polls } = history;
  const seenMs = (polls.at(-1)?.atMs ?? 0) - (polls[0]?.atMs ?? 0);
  return WINDOWS_MS.find((window) => window >= seenMs) ?? KEEP_MS;
}

/** For how long the page has watched without a break. */
export function watchedMs(history: History): number {
  const { polls } = history;
  let from = polls.length - 1;
  while (from > 0 && (polls[from]?.atMs ?? 0) - (polls[from - 1]?.atMs ?? 0) <= GAP_MS) from -= 1;
  return (polls.at(-1)?.atMs ?? 0) - (polls[from]?.atMs ?? 0);
}

function latest(samples: readonly Sample[], withinMs: number): Sample[] {
  const end = samples.at(-1)?.atMs ?? 0;
  return samples.filter((one) => one.atMs >= end - withinMs);
}

/** What a counter rose by over the last `withinMs`, and in how many milliseconds of it that was seen. */
function rise(samples: readonly Sample[], withinMs: number): { by: number; ms: number } {
  let [by, ms] = [0, 0];
  let before: Sample | undefined;
  for (const one of latest(samples, withinMs)) {
    // A counter that fell was set back, by a backup perhaps, and not to zero: what it counted meanwhile is not known.
    if (before && one.value >= before.value) {
      by += one.value - before.value;
      ms += one.atMs - before.atMs;
    }
    before = one;
  }
  return { by, ms };
}

export function increase(samples: readonly Sample[], withinMs: number): number {
  return rise(samples, withinMs).by;
}

/** Per second; null before there are two answers to compare. */
export function rate(samples: readonly Sample[], withinMs = RATE_MS): number | null {
  const { by, ms } = rise(samples, withinMs);
  return ms > 0 ? (by * 1e3) / ms : null;
}

/** Null where no lane has one. */
export function addRates(rates: readonly (number | null)[]): number | null {
  const known = rates.filter((one) => one !== null);
  return known.length > 0 ? known.reduce((all, one) => all + one, 0) : null;
}

/** The sum of several at the moments of the history; moments at which none is known are left out. */
export function addSamples(all: readonly (readonly Sample[])[]): Sample[] {
  const sums = new Map<number, number>();
  for (const one of all.flat()) sums.set(one.atMs, (sums.get(one.atMs) ?? 0) + one.value);
  return [...sums].map(([atMs, value]) => ({ atMs, value })).sort((a, b) => a.atMs - b.atMs);
}

export type Trend =
  /** Watched for too short a time. */
  | { kind: 'unknown' }
  /** Nothing waits. */
  | { kind: 'empty' }
  /** Something waits, and nothing did a moment ago. */
  | { kind: 'flowing' }
  | { kind: 'steady' }
  | { kind: 'growing'; perSecond: number }
  /** `secondsLeft` until nothing waits, at this pace. */
  | { kind: 'draining'; perSecond: number; secondsLeft: number };

/** Whether what waits grows or drains. */
export function trendOf(samples: readonly Sample[]): Trend {
  const seen = latest(samples, TREND_MS);
  // What waits now came after the queue was last seen empty: a receiver that went away a moment ago shows at once.
  const empty = seen.findLastIndex((one) => one.value <= 0);
  const window = seen.slice(Math.max(0, empty));
  const [first, last] = [window[0], window.at(-1)];
  if (!first || !last) return { kind: 'unknown' };
  if (last.value <= 0) return { kind: 'empty' };
  if (last.atMs - first.atMs < LEAST_TREND_MS) return { kind: empty >= 0 ? 'flowing' : 'unknown' };
  const { perMs, spread } = line(window);
  const change = perMs * (last.atMs - first.atMs);
  // Steps of a sender that sends now and then are no direction: it must stand out from them.
  if (Math.abs(change) <= Math.max(1, 2 * spread)) return { kind: 'steady' };
  const perSecond = Math.abs(perMs) * 1e3;
  return change > 0
    ? { kind: 'growing', perSecond }
    : { kind: 'draining', perSecond, secondsLeft: last.value / perSecond };
}

/** Seconds until `cap` is reached, where it is being approached. */
export function fullIn(samples: readonly Sample[], cap: number): number | null {
  const trend = trendOf(samples);
  const now = samples.at(-1)?.value ?? 0;
  return trend.kind === 'growing' && now < cap ? (cap - now) / trend.perSecond : null;
}

/** Least squares: the slope, and the standard deviation around it. */
function line(window: readonly Sample[]): { perMs: number; spread: number } {
  const n = window.length;
  const [x, y] = [
    window.reduce((all, one) => all + one.atMs, 0) / n,
    window.reduce((all, one) => all + one.value, 0) / n,
  ];
  let [xy, xx] = [0, 0];
  for (const one of window) {
    xy += (one.atMs - x) * (one.value - y);
    xx += (one.atMs - x) ** 2;
  }
  const perMs = xx > 0 ? xy / xx : 0;
  const off = window.reduce((all, one) => all + (one.value - y - perMs * (one.atMs - x)) ** 2, 0);
  return { perMs, spread: Math.sqrt(off / n) };
}

/** Rates at each moment, over the time before it that counts as now. */
export function rateSamples(samples: readonly Sample[]): Sample[] {
  return samples.flatMap((one, i) => {
    const before = samples.slice(0, i + 1).filter((other) => other.atMs >= one.atMs - RATE_MS);
    const value = rate(before);
    return value === null ? [] : [{ atMs: one.atMs, value }];
  });
}

/** As charts want them: seconds, a column for each; a hole where the page was not watching. */
export function columnsOf(lines: readonly (readonly Sample[])[]): Columns {
  const moments = [...new Set(lines.flatMap((one) => one.map((sample) => sample.atMs)))].sort((a, b) => a - b);
  const times: number[] = [];
  moments.forEach((atMs, i) => {
    const before = moments[i - 1];
    if (before !== undefined && atMs - before > GAP_MS) times.push((before + atMs) / 2);
    times.push(atMs);
  });
  const columns = lines.map((one) => {
    const at = new Map(one.map((sample) => [sample.atMs, sample.value]));
    return times.map((time) => at.get(time) ?? null);
  });
  return [times.map((ms) => ms / 1e3), ...columns];
}
