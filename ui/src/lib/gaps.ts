/** Where an answer has holes: what its coverage leaves of the asked range, per source, for hatches, bars and tables. */
import { type Coverage, coverageName, type CoverageState } from '../api/coverage';
import type { Range, Zone } from './time';
import { formatDateTime } from './timeformat';

export type GapState = Exclude<CoverageState, 'complete'>;

/** One source that lacks something of the range. */
export interface Gap {
  /** `cluster` or `cluster/replica`. */
  name: string;
  signal: string;
  state: GapState;
  reason: string;
  /** Disjoint, ascending, inside the range. */
  holes: Range[];
  /** What was looked at. */
  range: Range;
}

/** Shorter holes come from rounding of the range to steps, not from a source. */
const SHORTEST_MS = 1000;
/** The share of the range that the widest step takes: bars of logs, 60 and more of them. */
const FIRST_STEP = 1 / 60;

/** Only sources that say they lack something: one that is complete may well have begun after the start of the range. */
export function gapsOf(coverage: readonly Coverage[], range: Range): Gap[] {
  return coverage.flatMap((row) => {
    if (row.state === 'complete') return [];
    const holes = holesOf(row, range);
    return holes.length > 0
      ? [{ name: coverageName(row), signal: row.signal, state: row.state, reason: row.reason, holes, range }]
      : [];
  });
}

/** What of the range one source has, whatever its state says. */
export function coveredOf(row: Coverage, range: Range): Range[] {
  if (row.state === 'complete') return [range];
  const pairs = row.covered.flatMap((pair) => {
    const [from, to] = pair;
    const part = {
      fromMs: Math.max(from === null ? range.fromMs : from * 1e3, range.fromMs),
      toMs: Math.min(to === null ? range.toMs : to * 1e3, range.toMs, upTo(row)),
    };
    return part.toMs > part.fromMs ? [part] : [];
  });
  return union(pairs);
}

/** A late source counts as present up to its watermark, also where it says that it covers the whole range. */
function upTo(row: Coverage): number {
  return row.state === 'late' && row.watermark !== null ? row.watermark * 1e3 : Infinity;
}

function holesOf(row: Coverage, range: Range): Range[] {
  const out: Range[] = [];
  let at = range.fromMs;
  for (const part of coveredOf(row, range)) {
    // Steps stand on multiples of themselves: a source that has all of them begins up to one after the range does.
    const shortest =
      at === range.fromMs ? Math.max(SHORTEST_MS, (range.toMs - range.fromMs) * FIRST_STEP) : SHORTEST_MS;
    if (part.fromMs - at >= shortest) out.push({ fromMs: at, toMs: part.fromMs });
    at = Math.max(at, part.toMs);
  }
  if (range.toMs - at >= SHORTEST_MS) out.push({ fromMs: at, toMs: range.toMs });
  return out;
}

export function union(ranges: readonly Range[]): Range[] {
  const out: Range[] = [];
  for (const one of [...ranges].sort((a, b) => a.fromMs - b.fromMs)) {
    const last = out[out.length - 1];
    if (last && one.fromMs <= last.toMs) last.toMs = Math.max(last.toMs, one.toMs);
    else out.push({ ...one });
  }
  return out;
}

/**
 * Who is not in the picture at an instant; a value at the end of a hole is made of what lies in it. Steps reach a little
 * beyond the range: those count as its ends.
 */
export function lackingAt(gaps: readonly Gap[], ms: number): Gap[] {
  return gaps.filter(({ holes, range }) => {
    const at = Math.min(Math.max(ms, range.fromMs), range.toMs);
    return holes.some((hole) => at >= hole.fromMs && at <= hole.toMs);
  });
}

/** `prod-02, dev-01/a late`: what a cell or a spoken line says of an instant. Missing is what a name alone means. */
export function lackingText(gaps: readonly Gap[]): string {
  return gaps.map((gap) => (gap.state === 'missing' ? gap.name : `${gap.name} ${gap.state}`)).join(', ');
}

/** Ranges named before the rest is counted. */
const NAMED = 2;

/** `from 10:02:00 to 10:14:00, and 3 more`, or `the whole range`. */
export function holesText(holes: readonly Range[], range: Range, zone: Zone): string {
  const [first] = holes;
  if (first && first.fromMs <= range.fromMs && first.toMs >= range.toMs) return 'the whole range';
  const day = (ms: number) => formatDateTime(ms, zone).slice(0, 10);
  const sameDay = day(range.fromMs) === day(range.toMs);
  const clock = (ms: number) => formatDateTime(ms, zone).slice(sameDay ? 11 : 5);
  const named = holes.slice(0, NAMED).map((hole) => `from ${clock(hole.fromMs)} to ${clock(hole.toMs)}`);
  const more = holes.length - named.length;
  return named.join(', ') + (more > 0 ? `, and ${more} more` : '');
}

/** The sentence a chart adds to its summary; empty where nothing is missing. */
export function gapSummary(gaps: readonly Gap[], range: Range, zone: Zone): string {
  if (gaps.length === 0) return '';
  const parts = gaps.slice(0, 4).map((gap) => `${gap.name} is ${gap.state} ${whole(gap, range, zone)}`);
  const more = gaps.length > parts.length ? `, and ${gaps.length - parts.length} more` : '';
  return ` Not everything is here: ${parts.join('; ')}${more}.`;
}

function whole(gap: Gap, range: Range, zone: Zone): string {
  const text = holesText(gap.holes, range, zone);
  return text === 'the whole range' ? 'over the whole range' : text;
}
