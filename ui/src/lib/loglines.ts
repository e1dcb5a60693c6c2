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

/** Stands in the address for one line; two equal lines of the same nanosecond share it, which shows both open. */
export function lineKey(line: LogLine): string {
  return `${line.ns}-${identity(line)}`;
}

function identity(line: LogLine): string {
  const labels = Object.entries(line.labels)
    .map(([k, v]) => `${k}=${v}`)
    .sort()
    .join('\u0001');
  return hashText(`${line.line}\u0000${labels}`).toString(36);
}

/**
 * Where the page after this one must end (exclusive). It ends just after the oldest instant seen, so that lines
 * sharing that nanosecond are not lost; `joinPages` drops the ones that come twice. Undefined: nothing older.
 */
export function nextEnd(page: readonly LogLine[], limit: number, previousEnd: string): string | undefined {
  const oldest = page[page.length - 1];
  if (!oldest || page.length < limit) return undefined;
  const inclusive = (BigInt(oldest.ns) + 1n).toString();
  // A whole page inside one nanosecond would ask for itself for ever: step over that instant.
  return inclusive === previousEnd ? oldest.ns : inclusive;
}

/** Newest first over all pages, each repeated line at a page's edge once. */
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

export interface FieldValues {
  name: string;
  /** Lines that carry the field. */
  lines: number;
  values: { value: string; count: number }[];
}

/** Distinct values kept per field while counting; past it a field is an id and its counts mean nothing. */
const DISTINCT = 2000;

/** Every label and field of the loaded lines with its values, the most frequent first. */
export function countFields(lines: readonly LogLine[]): FieldValues[] {
  const fields = new Map<string, { lines: number; values: Map<string, number> }>();
  for (const line of lines) {
    for (const [name, value] of Object.entries(line.labels)) {
      let field = fields.get(name);
      if (!field) fields.set(name, (field = { lines: 0, values: new Map() }));
      field.lines += 1;
      if (field.values.has(value) || field.values.size < DISTINCT) count(field.values, value, 1);
    }
  }
  return [...fields]
    .map(([name, field]) => ({
      name,
      lines: field.lines,
      values: [...field.values]
        .map(([value, n]) => ({ value, count: n }))
        .sort((a, b) => b.count - a.count || a.value.localeCompare(b.value)),
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

const TRACE_LABELS = ['trace_id', 'traceID', 'traceid', 'traceId', 'otelTraceID'] as const;

export function traceIdOf(line: LogLine): string | undefined {
  for (const name of TRACE_LABELS) {
    const value = line.labels[name];
    if (value && /^[0-9a-fA-F]{16,32}$/.test(value)) return value;
  }
  const inLine = /\btrace_?id["']?\s*[=:]\s*["']?([0-9a-f]{32}|[0-9a-f]{16})\b/i.exec(line.line);
  return inLine?.[1];
}

export interface Piece {
  text: string;
  marked: boolean;
}

/** Cuts a line where one of the searched texts occurs. */
export function markPieces(line: string, wanted: readonly string[]): Piece[] {
  const texts = wanted.filter((text) => text.length > 0);
  if (texts.length === 0) return [{ text: line, marked: false }];
  const pattern = new RegExp(texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g');
  const out: Piece[] = [];
  let at = 0;
  for (const hit of line.matchAll(pattern)) {
    if (hit.index > at) out.push({ text: line.slice(at, hit.index), marked: false });
    out.push({ text: hit[0], marked: true });
    at = hit.index + hit[0].length;
  }
  if (at < line.length) out.push({ text: line.slice(at), marked: false });
  return out;
}
