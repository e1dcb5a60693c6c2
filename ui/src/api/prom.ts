/** The Prometheus query API of the node. */
import { inScope } from '../lib/scope';
import type { PairedEdges } from '../lib/servicegraph';
import type { Range } from '../lib/time';
import { type Answer, type Ask, getJson } from './http';
import { scoped, scopedSelector } from './scoped';

export type Labels = Readonly<Record<string, string>>;

export interface Series {
  labels: Labels;
  /** Seconds. */
  times: number[];
  values: number[];
  /** Native histograms, oldest first; absent where the series has none. */
  histograms?: HistogramPoint[];
}

/** One bucket of a native histogram; bounds may be infinite. */
export interface HistogramBucket {
  low: number;
  high: number;
  /** Which bounds belong to it: 0 `(a, b]`, 1 `[a, b)`, 2 `(a, b)`, 3 `[a, b]`. */
  bounds: number;
  count: number;
}

export interface HistogramPoint {
  time: number;
  count: number;
  sum: number;
  /** Ascending; those that counted nothing are left out. */
  buckets: HistogramBucket[];
}

/** What `stats=all` adds. Every field is the server's choice: an older or another one may send fewer. */
export interface QueryStats {
  timings?: Readonly<Record<string, number>>;
  samples?: Readonly<Record<string, unknown>>;
  [more: string]: unknown;
}

export interface PromResult {
  /** What was asked: the answer before stays on the screen while the next one is under way. */
  expr: string;
  kind: 'matrix' | 'vector' | 'scalar' | 'string';
  series: Series[];
  samples: number;
  stats: QueryStats | null;
  /** Only where it was asked for, of a node that tells. */
  plan: PlanNode[] | null;
}

export interface Metadata {
  type: string;
  help: string;
  unit: string;
}

/** One operator of the plan that answered a query. */
export interface PlanNode {
  /** Index of the node this one answers to; null for the whole. */
  parent: number | null;
  operator: string;
  detail: string;
  steps: number;
  /** It is the same at every step and was evaluated at one. */
  once: boolean;
  /** It was done in one pass with the node above. */
  fused: boolean;
  /** How often its result served again. */
  reused: number;
  /** Of its result. */
  series: number;
  bytes: number;
  /** With all below it; of work spread over cores the sum over all of them. */
  seconds: number;
  /** Of storage, on its behalf; nodes that share a read show the same one. */
  read: { id: number; series: number; samples: number; bytes: number; seconds: number } | null;
}

type Sample = [number, string];

interface Histogram {
  count: string;
  sum: string;
  buckets?: [number, string, string, string][];
}

interface Envelope<T> {
  status: string;
  data: T;
}

interface WireResult {
  resultType: PromResult['kind'];
  result: unknown;
  stats?: QueryStats;
  explain?: { nodes?: PlanNode[] };
}

interface WireSeries {
  metric: Labels;
  value?: Sample;
  values?: Sample[];
  histogram?: [number, Histogram];
  histograms?: [number, Histogram][];
}

type Context = Omit<Ask, 'params'>;

export async function queryRange(
  expr: string,
  range: Range,
  stepSeconds: number,
  ask: Context,
  extra: { explain?: boolean; limit?: number } = {},
): Promise<Answer<PromResult>> {
  // Steps stand on multiples of themselves so that a refresh moves no point.
  const start = Math.floor(range.fromMs / 1e3 / stepSeconds) * stepSeconds;
  // Up to the step that holds the newest sample: what arrived a moment ago is what people look for.
  const end = Math.ceil(range.toMs / 1e3 / stepSeconds) * stepSeconds;
  const params = {
    start,
    end: Math.max(start, end),
    step: stepSeconds,
    limit: extra.limit,
    ...explainParams(extra.explain),
  };
  const send = (query: string) =>
    getJson<Envelope<WireResult>>('/api/v1/query_range', { ...ask, params: { query, ...params } });
  return shape(expr, await scoped('promql', expr, ask.scope, send));
}

/** A node that knows no `explain` leaves it out of its answer. */
function explainParams(wanted: boolean | undefined): { stats?: string; explain?: string } {
  return wanted ? { stats: 'all', explain: 'true' } : {};
}

interface WirePairs {
  data: PairedEdges;
}

/** Requests between services of which no node has both halves, counted in spans. */
export async function pairedEdges(fromMs: number, toMs: number, ask: Context): Promise<Answer<PairedEdges>> {
  const params = { start: fromMs / 1e3, end: toMs / 1e3 };
  const answer = await getJson<WirePairs>('/api/v1/orrery/service_graph', { ...ask, params });
  const edges = answer.data.data.edges.filter((one) => inScope(ask.scope.labels, one.labels));
  return { ...answer, data: { ...answer.data.data, edges } };
}

export async function queryInstant(expr: string, atMs: number, ask: Context): Promise<Answer<PromResult>> {
  const send = (query: string) =>
    getJson<Envelope<WireResult>>('/api/v1/query', { ...ask, params: { query, time: atMs / 1e3 } });
  return shape(expr, await scoped('promql', expr, ask.scope, send));
}

function shape(expr: string, answer: Answer<Envelope<WireResult>>): Answer<PromResult> {
  return { ...answer, data: { ...shapeResult(answer.data.data), expr } };
}

export function shapeResult(wire: WireResult): Omit<PromResult, 'expr'> {
  const cost = { stats: wire.stats ?? null, plan: wire.explain?.nodes ?? null };
  if (wire.resultType === 'scalar' || wire.resultType === 'string') {
    const [time, value] = wire.result as Sample;
    const series = [{ labels: {}, times: [time], values: [toNumber(value)] }];
    return { kind: wire.resultType, series, samples: 1, ...cost };
  }
  const series = (wire.result as WireSeries[]).map(shapeSeries);
  const samples = series.reduce((sum, one) => sum + one.times.length, 0);
  return { kind: wire.resultType, series, samples, ...cost };
}

function shapeSeries(wire: WireSeries): Series {
  const floats = wire.values ?? (wire.value ? [wire.value] : []);
  const histograms = (wire.histograms ?? (wire.histogram ? [wire.histogram] : [])).map(shapeHistogram);
  if (histograms.length === 0) {
    return { labels: wire.metric, times: floats.map(([t]) => t), values: floats.map(([, v]) => toNumber(v)) };
  }
  // A native histogram has no single value; its mean is what a line can show, unless there are plain samples too.
  return {
    labels: wire.metric,
    times: floats.length > 0 ? floats.map(([t]) => t) : histograms.map((one) => one.time),
    values: floats.length > 0 ? floats.map(([, v]) => toNumber(v)) : histograms.map((one) => one.sum / one.count),
    histograms,
  };
}

function shapeHistogram([time, wire]: [number, Histogram]): HistogramPoint {
  return {
    time,
    count: toNumber(wire.count),
    sum: toNumber(wire.sum),
    buckets: (wire.buckets ?? []).map(([bounds, low, high, count]) => ({
      bounds,
      low: toNumber(low),
      high: toNumber(high),
      count: toNumber(count),
    })),
  };
}

function toNumber(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}

function between(range: Range | undefined) {
  return range ? { start: range.fromMs / 1e3, end: range.toMs / 1e3 } : {};
}

export async function labelNames(ask: Context, range?: Range, match?: string): Promise<string[]> {
  const params = { ...between(range), 'match[]': await scopedSelector('promql', match, ask.scope) };
  return (await getJson<Envelope<string[]>>('/api/v1/labels', { ...ask, params })).data.data;
}

export async function labelValues(
  label: string,
  ask: Context,
  range?: Range,
  match?: string,
): Promise<Answer<string[]>> {
  const params = { ...between(range), 'match[]': await scopedSelector('promql', match, ask.scope) };
  const answer = await getJson<Envelope<string[]>>(`/api/v1/label/${encodeURIComponent(label)}/values`, {
    ...ask,
    params,
  });
  return { ...answer, data: answer.data.data };
}

export async function seriesOf(match: string, ask: Context, range?: Range): Promise<Labels[]> {
  return (await findSeries(match, 5000, ask, range)).data;
}

/** At most `limit` label sets that match. As many as the limit means that there may be more. */
export async function findSeries(match: string, limit: number, ask: Context, range?: Range): Promise<Answer<Labels[]>> {
  const params = { ...between(range), 'match[]': await scopedSelector('promql', match, ask.scope), limit };
  const answer = await getJson<Envelope<Labels[]>>('/api/v1/series', { ...ask, params });
  return { ...answer, data: answer.data.data };
}

export async function metadata(ask: Context): Promise<Answer<Record<string, Metadata[]>>> {
  const answer = await getJson<Envelope<Record<string, Metadata[]>>>('/api/v1/metadata', ask);
  return { ...answer, data: answer.data.data };
}
