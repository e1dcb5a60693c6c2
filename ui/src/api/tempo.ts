/** The Tempo API of the node: TraceQL searches, metrics over spans, and what can be searched by. */
import type { TypedValue } from '../lib/differences';
import type { Found } from '../lib/found';
import { type WireFound, shapeFound } from '../lib/found';
import type { Range } from '../lib/time';
import { shapeTraceSeries, type WireTraceSeries } from '../lib/tracemetrics';
import { type Answer, type Ask, getJson } from './http';
import type { PromResult } from './prom';
import { scoped } from './scoped';

type Context = Omit<Ask, 'params'>;

const BASE = '/api';
/** Matched spans that a row of results is told of. */
const SPANS_PER_SET = 3;

export interface Searched {
  traces: Found[];
  /** Of this search alone; undefined where the node does not tell. */
  inspectedTraces: number | undefined;
  inspectedBytes: number | undefined;
}

interface WireSearch {
  traces?: WireFound[] | null;
  metrics?: { inspectedTraces?: number | string; inspectedBytes?: number | string } | null;
}

/** The newest traces, at most `limit`, that reach into `[startS, endS]` and match. Whole seconds are all the API knows. */
export async function searchTraces(
  query: string,
  startS: number,
  endS: number,
  limit: number,
  ask: Context,
): Promise<Answer<Searched>> {
  const params = { start: startS, end: endS, limit, spss: SPANS_PER_SET };
  const send = (q: string) => getJson<WireSearch>(`${BASE}/search`, { ...ask, params: { q, ...params } });
  const answer = await scoped('traceql', query, ask.scope, send);
  const { metrics } = answer.data;
  return {
    ...answer,
    data: {
      traces: (answer.data.traces ?? []).map(shapeFound),
      inspectedTraces: counted(metrics?.inspectedTraces),
      inspectedBytes: counted(metrics?.inspectedBytes),
    },
  };
}

/** Protobuf's JSON writes 64-bit numbers as text. */
function counted(value: number | string | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

function seconds(range: Range): { start: number; end: number } {
  return { start: Math.floor(range.fromMs / 1e3), end: Math.ceil(range.toMs / 1e3) };
}

interface WireMetrics {
  series?: WireTraceSeries[] | null;
}

/** A metrics query over the range, in the shape of a PromQL answer so that the same charts draw it. */
export async function queryTraceMetrics(
  query: string,
  range: Range,
  stepSeconds: number,
  ask: Context,
): Promise<Answer<PromResult>> {
  // The node puts steps on multiples of themselves; spans count that start in the range.
  const params = { ...seconds(range), step: `${stepSeconds}s` };
  const send = (q: string) => getJson<WireMetrics>(`${BASE}/metrics/query_range`, { ...ask, params: { q, ...params } });
  const answer = await scoped('traceql', query, ask.scope, send);
  const series = (answer.data.series ?? []).map(shapeTraceSeries);
  const samples = series.reduce((sum, one) => sum + one.times.length, 0);
  return { ...answer, data: { expr: query, kind: 'matrix', series, samples, stats: null, plan: null } };
}

/** A metrics query as one value per series, of all spans of the range. */
export async function queryTraceInstant(query: string, range: Range, ask: Context): Promise<Answer<TypedValue[]>> {
  const send = (q: string) =>
    getJson<WireMetrics>(`${BASE}/metrics/query`, { ...ask, params: { q, ...seconds(range) } });
  const answer = await scoped('traceql', query, ask.scope, send);
  const values = (answer.data.series ?? []).map(({ labels, value }) => ({
    labels: (labels ?? []).map((one) => ({ key: one.key, value: one.value ?? {} })),
    // Left out where it is zero, as protobuf's JSON does.
    value: Number(value ?? 0),
  }));
  return { ...answer, data: values };
}

export interface TagScope {
  /** `span`, `resource`, `intrinsic`, … */
  name: string;
  tags: string[];
}

export async function tagNames(ask: Context, range: Range): Promise<Answer<TagScope[]>> {
  const answer = await getJson<{ scopes?: { name?: string; tags?: string[] | null }[] | null }>(
    `${BASE}/v2/search/tags`,
    { ...ask, params: seconds(range) },
  );
  const scopes = (answer.data.scopes ?? []).map(({ name = '', tags }) => ({ name, tags: [...(tags ?? [])].sort() }));
  return { ...answer, data: scopes };
}

export interface TagValue {
  /** `string`, `int`, `float`, `bool`, `duration`, `status`, `kind`, `keyword`. */
  type: string;
  value: string;
}

/** Values of an attribute as a query names it, such as `resource.service.name`; among spans that match, where a query is given. */
export async function tagValues(tag: string, ask: Context, range: Range, query?: string): Promise<Answer<TagValue[]>> {
  const path = `${BASE}/v2/search/tag/${encodeURIComponent(tag)}/values`;
  const send = (q: string) =>
    getJson<{ tagValues?: { type?: string; value?: unknown }[] | null }>(path, {
      ...ask,
      params: { ...seconds(range), q: q === '{}' ? undefined : q },
    });
  const answer = await scoped('traceql', query ?? '{}', ask.scope, send);
  const values = (answer.data.tagValues ?? []).map(({ type = 'string', value }) => ({ type, value: String(value) }));
  return { ...answer, data: values.sort((a, b) => a.value.localeCompare(b.value, undefined, { numeric: true })) };
}

/** Names of the services that have sent spans in the range. */
export async function traceServices(ask: Context, range: Range): Promise<Answer<string[]>> {
  const answer = await tagValues('resource.service.name', ask, range);
  return { ...answer, data: answer.data.map((one) => one.value) };
}
