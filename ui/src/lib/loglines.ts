/** Pure work on log lines: levels, paging towards the past without loss, fields and their values. */
import type { LogLine } from '../api/loki';
import { hashText } from './colour';

export type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'unknown';

/** Worst first: the order of the histogram's legend and of its stack from the bottom. */
export const LEVELS: readonly Level[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'];

const ALIASES: readonly (readonly [RegExp, Level])[] = [
  [/^(fatal|emerg|emergency|alert|crit|critical|panic)\d?$/, 'fatal'],
  [/^(err|error|severe)\d?$/, 'error'],
  [/^(warn|warning)\d?$/, 'warn'],
  [/^(info|information|informational|notice|log)\d?$/, 'info'],
  [/^(debug|dbg|verbose|fine)\d?$/, 'debug'],
  [/^(trace|finest)\d?$/, 'trace'],
];

/** Labels that say how bad a line is, the most trusted first. */
export const LEVEL_LABELS = ['detected_level', 'level', 'severity_text', 'severity'] as const;

export function normaliseLevel(text: string): Level {
  const wanted = text.trim().toLowerCase();
  return ALIASES.find(([pattern]) => pattern.test(wanted))?.[1] ?? 'unknown';
}

export function levelOf(labels: Readonly<Record<string, string>>): Level {
  for (const name of LEVEL_LABELS) {
    const value = labels[name];
    const level = value ? normaliseLevel(value) : 'unknown';
    if (level !== 'unknown') return level;
  }
  return levelOfNumber(Number(labels.severity_number));
}

/** OpenTelemetry numbers severities in fours, from trace (1 to 4) to fatal (21 to 24). */
function levelOfNumber(severity: number): Level {
  if (!(severity >= 1 && severity <= 24)) return 'unknown';
  return (['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const)[Math.floor((severity - 1) / 4)] ?? 'unknown';
}

const keys = new WeakMap<LogLine, string>();

/** Stands in the address for one line; two equal lines of the same nanosecond share it, which shows both open. */
export function lineKey(line: LogLine): string {
  let key = keys.get(line);
  if (key === undefined) keys.set(line, (key = `${line.ns}-${identity(line)}`));
  return key;
}

/** The nanosecond that a key names; null for what is no key. */
export function keyNs(key: string): string | null {
  return /^(\d{1,20})-[a-z0-9]+$/.exec(key)?.[1] ?? null;
}

function identity(line: LogLine): string {
  const labels = Object.entries(line.labels)
    .map(([k, v]) => `${k}=${v}`)
    .sort()
    .join('\u0001');
  return hashText(`${line.line}\u0000${labels}`).toString(36);
}

/** Which lines come first. */
export type Order = 'newest' | 'oldest';

/**
 * Where the page after this one must begin or end. Towards the past it ends (exclusive) just after the oldest instant seen,
 * towards now it begins (inclusive) with the newest, so that lines sharing that nanosecond are not lost; `joinPages` drops
 * the ones that come twice. Undefined: nothing more.
 */
export function nextEdge(page: readonly LogLine[], limit: number, edge: string, order: Order): string | undefined {
  const last = page[page.length - 1];
  if (!last || page.length < limit) return undefined;
  const after = (BigInt(last.ns) + 1n).toString();
  const next = order === 'newest' ? after : last.ns;
  // A whole page inside one nanosecond would ask for itself for ever: step over that instant.
  if (next !== edge) return next;
  return order === 'newest' ? last.ns : after;
}

/** All pages in their order, each repeated line at a page's edge once. */
export function joinPages(pages: readonly (readonly LogLine[])[]): LogLine[] {
  const out: LogLine[] = [];
  for (const page of pages) {
    const edge = out[out.length - 1]?.ns;
    const seen = new Map<string, number>();
    if (edge !== undefined) {
      for (let i = out.length - 1; i >= 0 && out[i]?.ns === edge; i -= 1) count(seen, identity(out[i] as LogLine), 1);
    }
    for (const line of page) {
      if (line.ns === edge && (seen.get(identity(line)) ?? 0) > 0) count(seen, identity(line), -1);
      else out.push(line);
    }
  }
  return out;
}

function count(into: Map<string, number>, key: string, by: number): void {
  into.set(key, (into.get(key) ?? 0) + by);
}
