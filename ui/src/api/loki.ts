/** The Loki query API of the node: log lines, metrics over them, and their labels. */
import type { Order } from '../lib/loglines';
import type { Range } from '../lib/time';
import { type Answer, type Ask, getJson } from './http';
import { type Labels, type PromResult, shapeResult } from './prom';
import { scoped, scopedSelector } from './scoped';

export interface LogLine {
  /** Nanoseconds as the server wrote them: a double would lose the last two digits and with them the order. */
  ns: string;
  ms: number;
  line: string;
  /** Everything that is known of the line, whatever its kind. */
  labels: Labels;
  /** The same apart, where the server tells it. */
  parts?: LineParts | undefined;
}

export interface LineParts {
  stream: Labels;
  /** Sent beside the line: structured metadata. */
  meta: Labels;
  /** Made by stages of the query. */
  parsed: Labels;
}

export interface LokiStream {
  stream: Labels;
  /** The third element carries what is not of the stream, where the server tells it apart. */
  values: [string, string, { structuredMetadata?: unknown; parsed?: unknown }?][];
}

interface LokiEnvelope {
  data: { resultType: 'streams' | 'matrix' | 'vector' | 'scalar'; result: unknown };
}

export type Context = Omit<Ask, 'params'>;

export const BASE = '/loki/api/v1';

export function msToNs(ms: number): string {
  return `${Math.round(ms)}000000`;
}

/** Lines in `[startNs, endNs)`, at most `limit`: the newest of them newest first, or the oldest oldest first. */
export async function queryLines(
  expr: string,
  startNs: string,
  endNs: string,
  limit: number,
  ask: Context,
  order: Order = 'newest',
): Promise<Answer<LogLine[]>> {
  const direction = order === 'newest' ? 'backward' : 'forward';
  const params = { start: startNs, end: endNs, limit, direction };
  // Fields of a single line come beside it instead of making a stream of their own for every trace id.
  const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };
  const send = (query: string) =>
    getJson<LokiEnvelope>(`${BASE}/query_range`, { ...ask, params: { query, ...params }, headers });
  const answer = await scoped('logql', expr, ask.scope, send);
  return {
    ...answer,
    data: answer.data.data.resultType === 'streams' ? flatten(answer.data.data.result as LokiStream[], order) : [],
  };
}

/** All lines of all streams in one order. */
export function flatten(streams: readonly LokiStream[], order: Order = 'newest'): LogLine[] {
  const lines: LogLine[] = [];
  for (const { stream, values } of streams) {
    for (const [ns, line, extra] of values) {
      if (!extra) {
        lines.push({ ns, ms: nsToMs(ns), line, labels: stream });
        continue;
      }
      const parts = { stream, meta: texts(extra.structuredMetadata), parsed: texts(extra.parsed) };
      lines.push({ ns, ms: nsToMs(ns), line, labels: { ...stream, ...parts.meta, ...parts.parsed }, parts });
    }
  }
  const sign = order === 'newest' ? -1 : 1;
  return lines.sort((a, b) => sign * compareNs(a.ns, b.ns));
}

function texts(of: unknown): Labels {
  if (typeof of !== 'object' || of === null) return {};
  return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, String(value)]));
}

/** Decimal strings of the same sign: the longer is the larger. */
export function compareNs(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

export function nsToMs(ns: string): number {
  return ns.length > 6 ? Number(ns.slice(0, -6)) + Number(ns.slice(-6)) / 1e6 : 0;
}

export async function queryLogMetric(
  expr: string,
  range: Range,
  stepSeconds: number,
  ask: Context,
): Promise<Answer<PromResult>> {
  const params = { start: msToNs(range.fromMs), end: msToNs(range.toMs), step: stepSeconds };
  const send = (query: string) =>
    getJson<LokiEnvelope>(`${BASE}/query_range`, { ...ask, params: { query, ...params } });
  return shape(expr, await scoped('logql', expr, ask.scope, send));
}

export async function queryLogInstant(expr: string, atMs: number, ask: Context): Promise<Answer<PromResult>> {
  const send = (query: string) =>
    getJson<LokiEnvelope>(`${BASE}/query`, { ...ask, params: { query, time: msToNs(atMs), limit: 100 } });
  return shape(expr, await scoped('logql', expr, ask.scope, send));
}

function shape(expr: string, answer: Answer<LokiEnvelope>): Answer<PromResult> {
  const { resultType, result } = answer.data.data;
  const data: Omit<PromResult, 'expr'> =
    resultType === 'streams'
      ? { kind: 'matrix', series: [], samples: 0, stats: null, plan: null }
      : shapeResult({ resultType, result });
  return { ...answer, data: { ...data, expr } };
}

export function between(range: Range) {
  return { start: msToNs(range.fromMs), end: msToNs(range.toMs) };
}

export async function logLabels(ask: Context, range: Range, query?: string): Promise<Answer<string[]>> {
  const answer = await getJson<{ data?: string[] }>(`${BASE}/labels`, {
    ...ask,
    params: { ...between(range), query: await scopedSelector('logql', query, ask.scope) },
  });
  return { ...answer, data: answer.data.data ?? [] };
}

export async function logLabelValues(label: string, ask: Context, range: Range, query?: string): Promise<string[]> {
  const params = { ...between(range), query: await scopedSelector('logql', query, ask.scope) };
  const path = `${BASE}/label/${encodeURIComponent(label)}/values`;
  return (await getJson<{ data?: string[] }>(path, { ...ask, params })).data.data ?? [];
}
