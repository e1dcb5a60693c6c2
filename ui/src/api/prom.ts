/** The Prometheus query API of the node. */
import type { Range } from '../lib/time';
import { type Answer, type Ask, getJson } from './http';

export type Labels = Readonly<Record<string, string>>;

export interface Series {
  labels: Labels;
  /** Seconds. */
  times: number[];
  values: number[];
}

export interface PromResult {
  kind: 'matrix' | 'vector' | 'scalar' | 'string';
  series: Series[];
  samples: number;
}

export interface Metadata {
  type: string;
  help: string;
  unit: string;
}

type Sample = [number, string];

interface Histogram {
  count: string;
  sum: string;
}

interface Envelope<T> {
  status: string;
  data: T;
}

interface WireResult {
  resultType: PromResult['kind'];
  result: unknown;
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
): Promise<Answer<PromResult>> {
  // Steps stand on multiples of themselves so that a refresh moves no point.
  const start = Math.floor(range.fromMs / 1e3 / stepSeconds) * stepSeconds;
  // Up to the step that holds the newest sample: what arrived a moment ago is what people look for.
  const end = Math.ceil(range.toMs / 1e3 / stepSeconds) * stepSeconds;
  const params = { query: expr, start, end: Math.max(start, end), step: stepSeconds };
  return shape(await getJson<Envelope<WireResult>>('/api/v1/query_range', { ...ask, params }));
}

export async function queryInstant(expr: string, atMs: number, ask: Context): Promise<Answer<PromResult>> {
  const params = { query: expr, time: atMs / 1e3 };
  return shape(await getJson<Envelope<WireResult>>('/api/v1/query', { ...ask, params }));
}

function shape(answer: Answer<Envelope<WireResult>>): Answer<PromResult> {
  return { ...answer, data: shapeResult(answer.data.data) };
}

export function shapeResult(wire: WireResult): PromResult {
  if (wire.resultType === 'scalar' || wire.resultType === 'string') {
    const [time, value] = wire.result as Sample;
    return { kind: wire.resultType, series: [{ labels: {}, times: [time], values: [toNumber(value)] }], samples: 1 };
  }
  const series = (wire.result as WireSeries[]).map(shapeSeries);
  return { kind: wire.resultType, series, samples: series.reduce((sum, one) => sum + one.times.length, 0) };
}

function shapeSeries(wire: WireSeries): Series {
  const floats = wire.values ?? (wire.value ? [wire.value] : []);
  const histograms = wire.histograms ?? (wire.histogram ? [wire.histogram] : []);
  if (floats.length > 0 || histograms.length === 0) {
    return { labels: wire.metric, times: floats.map(([t]) => t), values: floats.map(([, v]) => toNumber(v)) };
  }
  // A native histogram has no single value; its mean is what a line can show.
  return {
    labels: wire.metric,
    times: histograms.map(([t]) => t),
    values: histograms.map(([, h]) => toNumber(h.sum) / toNumber(h.count)),
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
  const params = { ...between(range), 'match[]': match };
  return (await getJson<Envelope<string[]>>('/api/v1/labels', { ...ask, params })).data.data;
}

export async function labelValues(
  label: string,
  ask: Context,
  range?: Range,
  match?: string,
): Promise<Answer<string[]>> {
  const params = { ...between(range), 'match[]': match };
  const answer = await getJson<Envelope<string[]>>(`/api/v1/label/${encodeURIComponent(label)}/values`, {
    ...ask,
    params,
  });
  return { ...answer, data: answer.data.data };
}

export async function seriesOf(match: string, ask: Context, range?: Range): Promise<Labels[]> {
  const params = { ...between(range), 'match[]': match, limit: 5000 };
  return (await getJson<Envelope<Labels[]>>('/api/v1/series', { ...ask, params })).data.data;
}

export async function metadata(ask: Context): Promise<Record<string, Metadata[]>> {
  return (await getJson<Envelope<Record<string, Metadata[]>>>('/api/v1/metadata', ask)).data.data;
}
