/** The Loki query API of the node: log lines, and metrics over them. */
import type { Range } from '../lib/time';
import { type Answer, type Ask, getJson } from './http';
import { type Labels, type PromResult, shapeResult } from './prom';
import { scoped, scopedSelector } from './scoped';

export interface LogLine {
  /** Nanoseconds as the server wrote them: a double would lose the last two digits and with them the order. */
  ns: string;
  ms: number;
  line: string;
  labels: Labels;
}

interface LokiStream {
  stream: Labels;
  /** The third element carries structured metadata of a single line, where the server separates it. */
  values: [string, string, Record<string, unknown>?][];
}

interface LokiEnvelope {
  data: { resultType: 'streams' | 'matrix' | 'vector' | 'scalar'; result: unknown };
}

type Context = Omit<Ask, 'params'>;

const BASE = '/loki/api/v1';

export function msToNs(ms: number): string {
  return `${Math.round(ms)}000000`;
}

export async function queryLines(
  expr: string,
  startNs: string,
  endNs: string,
  limit: number,
  ask: Context,
): Promise<Answer<LogLine[]>> {
  const params = { start: startNs, end: endNs, limit, direction: 'backward' };
  // Fields of a single line come beside it instead of making a stream of their own for every trace id.
  const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };
  const send = (query: string) =>
    getJson<LokiEnvelope>(`${BASE}/query_range`, { ...ask, params: { query, ...params }, headers });
  const answer = await scoped('logql', expr, ask.scope, send);
  return {
    ...answer,
    data: answer.data.data.resultType === 'streams' ? flatten(answer.data.data.result as LokiStream[]) : [],
  };
}

/** All lines of all streams, newest first. */
export function flatten(streams: readonly LokiStream[]): LogLine[] {
  const lines: LogLine[] = [];
  for (const { stream, values } of streams) {
    for (const [ns, line, extra] of values) {
      lines.push({ ns, ms: nsToMs(ns), line, labels: extra ? { ...stream, ...extraLabels(extra) } : stream });
    }
  }
  return lines.sort((a, b) => compareNs(b.ns, a.ns));
}

function extraLabels(extra: Record<string, unknown>): Labels {
  const out: Record<string, string> = {};
  for (const [key, value] of Object.entries(extra)) {
    if (typeof value === 'object' && value !== null) Object.assign(out, extraLabels(value as Record<string, unknown>));
    else out[key] = String(value);
  }
  return out;
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

function between(range: Range) {
  return { start: msToNs(range.fromMs), end: msToNs(range.toMs) };
}

export async function logLabels(ask: Context, range: Range): Promise<Answer<string[]>> {
  const answer = await getJson<{ data?: string[] }>(`${BASE}/labels`, {
    ...ask,
    params: { ...between(range), query: await scopedSelector('logql', undefined, ask.scope) },
  });
  return { ...answer, data: answer.data.data ?? [] };
}

export async function logLabelValues(label: string, ask: Context, range: Range, query?: string): Promise<string[]> {
  const params = { ...between(range), query: await scopedSelector('logql', query, ask.scope) };
  const path = `${BASE}/label/${encodeURIComponent(label)}/values`;
  return (await getJson<{ data?: string[] }>(path, { ...ask, params })).data.data ?? [];
}
