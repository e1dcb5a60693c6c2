/** Traces that a search found: what a row says of each, and how pages of them become one list in exact order. */
import { compareNs, nsToMs } from '../api/loki';

/** A value as OTLP's JSON writes it. */
export interface AnyValue {
  stringValue?: string;
  intValue?: string | number;
  doubleValue?: number | string;
  boolValue?: boolean;
  arrayValue?: { values?: AnyValue[] };
}

export interface WireAttribute {
  key: string;
  value?: AnyValue | null;
}

export interface WireFoundSpan {
  spanID: string;
  name?: string;
  startTimeUnixNano?: string;
  durationNanos?: string | number;
  attributes?: WireAttribute[] | null;
}

export interface WireFound {
  traceID: string;
  rootServiceName?: string;
  rootTraceName?: string;
  startTimeUnixNano?: string;
  durationMs?: number;
  spanSets?: { spans?: WireFoundSpan[] | null; matched?: number }[] | null;
  spanSet?: { spans?: WireFoundSpan[] | null; matched?: number } | null;
  serviceStats?: Record<string, { spanCount?: number; errorCount?: number }> | null;
}

export interface FoundSpan {
  id: string;
  name: string;
  durationUs: number;
  /** Those the query asked about. */
  attributes: [string, string][];
}

export interface Found {
  id: string;
  /** Of the root; empty where it has not arrived. */
  service: string;
  operation: string;
  /** As the server wrote it: a double would lose its last digits and with them the order. */
  startNs: string;
  startMs: number;
  durationUs: number;
  /** Of the whole trace; 0 where the node does not tell. */
  spans: number;
  errors: number;
  /** Spans that match. */
  matched: number;
  matches: FoundSpan[];
  /** No span of it that matches starts after this. */
  matchedToMs: number;
  /** By how many spans each. */
  services: { name: string; count: number; errors: number }[];
}

export function anyText(value: AnyValue | null | undefined): string {
  if (!value) return '';
  if (value.arrayValue) return `[${(value.arrayValue.values ?? []).map(anyText).join(', ')}]`;
  return String(value.stringValue ?? value.intValue ?? value.doubleValue ?? value.boolValue ?? '');
}

/** What Tempo writes for a root it has not seen. */
const NO_ROOT = '<root span not yet received>';

export function shapeFound(wire: WireFound): Found {
  const sets = wire.spanSets ?? (wire.spanSet ? [wire.spanSet] : []);
  const listed = sets.flatMap((set) => set.spans ?? []);
  const services = Object.entries(wire.serviceStats ?? {})
    .map(([name, { spanCount = 0, errorCount = 0 }]) => ({ name, count: spanCount, errors: errorCount }))
    .sort((a, b) => b.count - a.count || a.name.localeCompare(b.name));
  const matches = listed.map(shapeSpan);
  const longestUs = matches.reduce((most, span) => Math.max(most, span.durationUs), 0);
  const startNs = wire.startTimeUnixNano ?? '0';
  const matched = sets.reduce((sum, set) => sum + (set.matched ?? set.spans?.length ?? 0), 0);
  const endMs = nsToMs(startNs) + (wire.durationMs ?? 0) + 1;
  const newest = listed.reduce((most, span) => Math.max(most, nsToMs(span.startTimeUnixNano ?? '0')), 0);
  return {
    id: wire.traceID,
    service: wire.rootServiceName === NO_ROOT ? '' : (wire.rootServiceName ?? ''),
    operation: wire.rootTraceName ?? '',
    startNs,
    startMs: nsToMs(startNs),
    // Whole milliseconds are too coarse for traces of less than one: a span of it is no longer than the trace.
    durationUs: Math.max((wire.durationMs ?? 0) * 1e3, (wire.durationMs ?? 0) === 0 ? longestUs : 0),
    spans: services.reduce((sum, one) => sum + one.count, 0),
    errors: services.reduce((sum, one) => sum + one.errors, 0),
    matched,
    matches,
    // Where not all of them are listed it is only known that they are of the trace.
    matchedToMs: matched > 0 && listed.length >= matched && newest > 0 ? newest : endMs,
    services,
  };
}

function shapeSpan(wire: WireFoundSpan): FoundSpan {
  return {
    id: wire.spanID,
    name: wire.name ?? '',
    durationUs: Number(wire.durationNanos ?? 0) / 1e3,
    attributes: (wire.attributes ?? []).map(({ key, value }) => [key, anyText(value)]),
  };
}

/** Newest first; a trace that two pages hold comes once, as the fuller of both. */
export function joinFound(pages: readonly (readonly Found[])[]): Found[] {
  const byId = new Map<string, Found>();
  for (const one of pages.flat()) {
    const seen = byId.get(one.id);
    if (!seen || one.spans > seen.spans || (one.spans === seen.spans && one.matched > seen.matched)) {
      byId.set(one.id, one);
    }
  }
  return [...byId.values()].sort((a, b) => -compareNs(a.startNs, b.startNs) || a.id.localeCompare(b.id));
}

export const SORTS = { recent: 'Newest', longest: 'Longest', spans: 'Most spans', errors: 'Most errors' } as const;
export type Sort = keyof typeof SORTS;

export function sortFound(found: readonly Found[], sort: Sort): readonly Found[] {
  if (sort === 'recent') return found;
  const by: Record<Exclude<Sort, 'recent'>, (a: Found, b: Found) => number> = {
    longest: (a, b) => b.durationUs - a.durationUs,
    spans: (a, b) => b.spans - a.spans,
    errors: (a, b) => b.errors - a.errors || b.durationUs - a.durationUs,
  };
  return [...found].sort(by[sort]);
}

/** What a trace is called where its root is not here. */
export function foundName(one: Found): { service: string; operation: string } {
  if (one.service !== '') return { service: one.service, operation: one.operation };
  return { service: one.services[0]?.name ?? 'root not here', operation: one.operation || 'root span not here' };
}

export function foundCsv(found: readonly Found[]): { header: string[]; rows: (string | number | null)[][] } {
  return {
    header: ['start', 'trace_id', 'service', 'operation', 'duration_ms', 'spans', 'errors', 'matched', 'services'],
    rows: found.map((one) => [
      isoNs(one),
      one.id,
      one.service,
      one.operation,
      one.durationUs / 1e3,
      one.spans,
      one.errors,
      one.matched,
      one.services.map(({ name, count }) => `${name}:${count}`).join(' '),
    ]),
  };
}

/** With all nine digits, which a date of the browser does not hold. */
function isoNs(one: Found): string {
  const seconds = new Date(Math.floor(one.startMs)).toISOString().slice(0, 19);
  return `${seconds}.${one.startNs.slice(-9).padStart(9, '0')}Z`;
}
