/**
 * The time grammar of the range picker and the URL.
 *
 * Relative: `now`, `now-1h`, `now/d`, `now-1M/M+6h`; units s m h d w M Q y. `/unit` rounds down at the start
 * of a range and up at its end, so `now-1d/d … now-1d/d` is all of yesterday.
 * Absolute: `2026-11-20`, `2026-11-20 23:50[:07[.123]]`, ISO 8601 with a zone, or epoch seconds, milliseconds,
 * microseconds or nanoseconds (told apart by size).
 * Absolute times without a zone are read in the zone the page shows.
 */

export type Zone = 'browser' | 'utc';

const UNIT = '[smhdwMQy]';
const RELATIVE = new RegExp(`^now((?:[+-]\\d{1,6}${UNIT}|/${UNIT})*)$`);
const STEP = new RegExp(`([+-])(\\d{1,6})(${UNIT})|/(${UNIT})`, 'g');
const CALENDAR = /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?(Z|[+-]\d{2}:?\d{2})?$/;

const FIXED_MS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

export function isRelative(text: string): boolean {
  return RELATIVE.test(text.trim());
}

/** Milliseconds since the epoch, or null where the text is not in the grammar. */
export function parseTime(text: string, nowMs: number, end: 'from' | 'to', zone: Zone = 'browser'): number | null {
  const trimmed = text.trim();
  const relative = RELATIVE.exec(trimmed);
  if (relative) return walk(relative[1] ?? '', nowMs, end, zone);
  if (/^\d{9,19}(\.\d+)?$/.test(trimmed)) return epochToMs(trimmed);
  return parseCalendar(trimmed, zone);
}

function walk(steps: string, nowMs: number, end: 'from' | 'to', zone: Zone): number {
  let at = nowMs;
  for (const [, sign, count, unit, round] of steps.matchAll(STEP)) {
    if (round) at = end === 'from' ? startOf(at, round, zone) : endOf(at, round, zone);
    else at = add(at, (sign === '-' ? -1 : 1) * Number(count), unit ?? 's', zone);
  }
  return at;
}

function epochToMs(text: string): number {
  const value = Number(text);
  if (value < 1e11) return Math.round(value * 1e3);
  if (value < 1e14) return Math.round(value);
  if (value < 1e17) return Math.round(value / 1e3);
  return Math.round(value / 1e6);
}

function parseCalendar(text: string, zone: Zone): number | null {
  const m = CALENDAR.exec(text);
  if (!m) return null;
  const [year, month, day, hour, minute, second] = m.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const ms = Math.floor(Number(`0.${m[7] ?? '0'}`) * 1e3);
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60)
    return null;
  const offset = m[8];
  if (!offset) return compose({ year, month: month - 1, day, hour, minute, second, ms }, zone);
  const utc = Date.UTC(year, month - 1, day, hour, minute, second, ms);
  if (offset === 'Z') return utc;
  const sign = offset.startsWith('-') ? -1 : 1;
  const digits = offset.slice(1).replace(':', '');
  return utc - sign * (Number(digits.slice(0, 2)) * 36e5 + Number(digits.slice(2)) * 6e4);
}

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

function split(ms: number, zone: Zone): Parts {
  const d = new Date(ms);
  return zone === 'utc'
    ? {
        year: d.getUTCFullYear(),
        month: d.getUTCMonth(),
        day: d.getUTCDate(),
        hour: d.getUTCHours(),
        minute: d.getUTCMinutes(),
        second: d.getUTCSeconds(),
        ms: d.getUTCMilliseconds(),
      }
    : {
        year: d.getFullYear(),
        month: d.getMonth(),
        day: d.getDate(),
        hour: d.getHours(),
        minute: d.getMinutes(),
        second: d.getSeconds(),
        ms: d.getMilliseconds(),
      };
}

function compose(p: Parts, zone: Zone): number {
  return zone === 'utc'
    ? Date.UTC(p.year, p.month, p.day, p.hour, p.minute, p.second, p.ms)
    : new Date(p.year, p.month, p.day, p.hour, p.minute, p.second, p.ms).getTime();
}

function add(at: number, count: number, unit: string, zone: Zone): number {
  const fixed = FIXED_MS[unit];
  // Days and weeks follow the calendar so that `now-1d` keeps its wall-clock hour across a clock change.
  if (fixed !== undefined && unit !== 'd' && unit !== 'w') return at + count * fixed;
  const p = split(at, zone);
  if (unit === 'd') p.day += count;
  if (unit === 'w') p.day += 7 * count;
  if (unit === 'M' || unit === 'Q' || unit === 'y') {
    const months = unit === 'M' ? count : unit === 'Q' ? 3 * count : 12 * count;
    const target = p.year * 12 + p.month + months;
    p.year = Math.floor(target / 12);
    p.month = target - p.year * 12;
    p.day = Math.min(p.day, daysIn(p.year, p.month + 1));
  }
  return compose(p, zone);
}

function startOf(at: number, unit: string, zone: Zone): number {
  const p = split(at, zone);
  p.ms = 0;
  if (unit === 's') return compose(p, zone);
  p.second = 0;
  if (unit === 'm') return compose(p, zone);
  p.minute = 0;
  if (unit === 'h') return compose(p, zone);
  p.hour = 0;
  if (unit === 'd') return compose(p, zone);
  if (unit === 'w') {
    const weekday = new Date(Date.UTC(p.year, p.month, p.day)).getUTCDay();
    p.day -= (weekday + 6) % 7;
    return compose(p, zone);
  }
  p.day = 1;
  if (unit === 'Q') p.month -= p.month % 3;
  if (unit === 'y') p.month = 0;
  return compose(p, zone);
}

function endOf(at: number, unit: string, zone: Zone): number {
  return add(startOf(at, unit, zone), 1, unit, zone) - 1;
}

export interface Range {
  fromMs: number;
  toMs: number;
}

/** The range that two grammar texts name at `nowMs`; null where either is wrong or the range is empty. */
export function resolveRange(from: string, to: string, nowMs: number, zone: Zone): Range | null {
  const fromMs = parseTime(from, nowMs, 'from', zone);
  const toMs = parseTime(to, nowMs, 'to', zone);
  if (fromMs === null || toMs === null || !(fromMs < toMs)) return null;
  return { fromMs, toMs };
}

/** Twice as wide around the same middle, but never past now: the future holds no data. */
export function zoomOut(range: Range, nowMs: number): Range {
  const width = range.toMs - range.fromMs;
  const toMs = Math.min(range.toMs + width / 2, Math.max(nowMs, range.toMs));
  return { fromMs: Math.round(toMs - 2 * width), toMs: Math.round(toMs) };
}

/** Half a width towards the past (-1) or the future (1). */
export function shift(range: Range, direction: -1 | 1): Range {
  const by = ((range.toMs - range.fromMs) / 2) * direction;
  return { fromMs: Math.round(range.fromMs + by), toMs: Math.round(range.toMs + by) };
}
