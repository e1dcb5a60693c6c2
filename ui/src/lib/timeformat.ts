/** How instants, ages and durations are written: always a 24 h clock, in the zone of the page. */
import type { Range, Zone } from './time';

const pad = (value: number, width = 2) => String(value).padStart(width, '0');

function parts(ms: number, zone: Zone) {
  const d = new Date(ms);
  return zone === 'utc'
    ? ([
        d.getUTCFullYear(),
        d.getUTCMonth() + 1,
        d.getUTCDate(),
        d.getUTCHours(),
        d.getUTCMinutes(),
        d.getUTCSeconds(),
        d.getUTCMilliseconds(),
      ] as const)
    : ([
        d.getFullYear(),
        d.getMonth() + 1,
        d.getDate(),
        d.getHours(),
        d.getMinutes(),
        d.getSeconds(),
        d.getMilliseconds(),
      ] as const);
}

/** `2026-11-20 23:50:07` */
export function formatDateTime(ms: number, zone: Zone): string {
  if (!Number.isFinite(ms)) return '–';
  const [y, mo, d, h, mi, s] = parts(ms, zone);
  return `${y}-${pad(mo)}-${pad(d)} ${pad(h)}:${pad(mi)}:${pad(s)}`;
}

/** `2026-11-20 23:50:07.123` */
export function formatDateTimeMs(ms: number, zone: Zone): string {
  return `${formatDateTime(ms, zone)}.${pad(parts(ms, zone)[6], 3)}`;
}

/** `23:50:07.123`, with `11-20` in front when the list it stands in covers more than a day. */
export function formatLogTime(ms: number, zone: Zone, withDate: boolean): string {
  const [, mo, d, h, mi, s, milli] = parts(ms, zone);
  const clock = `${pad(h)}:${pad(mi)}:${pad(s)}.${pad(milli, 3)}`;
  return withDate ? `${pad(mo)}-${pad(d)} ${clock}` : clock;
}

/** Labels of a time axis: as much as the distance between two ticks needs, the date where the day turns. */
export function formatTick(ms: number, zone: Zone, tickMs: number): string {
  const [y, mo, d, h, mi, s, milli] = parts(ms, zone);
  if (tickMs >= 28 * 864e5) return `${y}-${pad(mo)}`;
  if (tickMs >= 864e5) return `${pad(mo)}-${pad(d)}`;
  if (h === 0 && mi === 0 && s === 0 && milli === 0) return `${pad(mo)}-${pad(d)}`;
  if (tickMs >= 6e4) return `${pad(h)}:${pad(mi)}`;
  if (tickMs >= 1e3) return `${pad(h)}:${pad(mi)}:${pad(s)}`;
  return `${pad(s)}.${pad(milli, 3)}`;
}

/** The text of the range picker: relative ranges in words, absolute ones without repeating the day. */
export function formatRange(from: string, to: string, range: Range | null, zone: Zone): string {
  const last = /^now-(\d+)([smhdwMQy])$/.exec(from);
  if (last && to === 'now') return `Last ${last[1]} ${plural(last[2] ?? '', Number(last[1]))}`;
  if (from === 'now/d' && to === 'now') return 'Today so far';
  if (from.startsWith('now') || to.startsWith('now')) return `${from} → ${to}`;
  if (!range) return `${from} → ${to}`;
  const a = formatDateTime(range.fromMs, zone);
  const b = formatDateTime(range.toMs, zone);
  return `${a} → ${a.slice(0, 10) === b.slice(0, 10) ? b.slice(11) : b}`;
}

const UNIT_NAMES: Record<string, string> = {
  s: 'second',
  m: 'minute',
  h: 'hour',
  d: 'day',
  w: 'week',
  M: 'month',
  Q: 'quarter',
  y: 'year',
};

function plural(unit: string, count: number): string {
  const name = UNIT_NAMES[unit] ?? unit;
  return count === 1 ? name : `${name}s`;
}

const SPANS: readonly (readonly [string, number])[] = [
  ['d', 86400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
];

/** An age or uptime in its two largest units: `3d 4h`, `12m 5s`, `0.4s`. */
export function formatSpan(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 0) return `-${formatSpan(-seconds)}`;
  if (seconds < 10) return `${trim(seconds.toFixed(1))}s`;
  let rest = Math.round(seconds);
  const out: string[] = [];
  for (const [name, size] of SPANS) {
    const count = Math.floor(rest / size);
    if (count > 0) out.push(`${count}${name}`);
    rest -= count * size;
    if (out.length === 2) break;
    if (out.length === 1 && count === 0) break;
  }
  return out.join(' ');
}

/** A span's length from microseconds, three significant digits: `812µs`, `1.24ms`, `3.5s`, `2m 5s`. */
export function formatDurationUs(us: number): string {
  if (!Number.isFinite(us)) return '–';
  if (us < 1e3) return `${trim(us.toFixed(us < 10 ? 1 : 0))}µs`;
  if (us < 1e6) return `${significant(us / 1e3)}ms`;
  if (us < 6e7) return `${significant(us / 1e6)}s`;
  return formatSpan(us / 1e6);
}

function significant(value: number): string {
  return trim(value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
}

function trim(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}
