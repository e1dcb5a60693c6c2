/** Exemplars of a query: single observations that name the trace they belong to. */
import type { Range } from '../lib/time';
import { type Answer, type Ask, getJson } from './http';
import type { Labels } from './prom';
import { scoped } from './scoped';

export interface Exemplar {
  /** Of the series it was sent with. */
  series: Labels;
  labels: Labels;
  value: number;
  /** Seconds. */
  time: number;
  traceId: string | null;
}

interface Wire {
  seriesLabels: Labels;
  exemplars: { labels: Labels; value: string | number; timestamp: number }[];
}

export async function queryExemplars(
  expr: string,
  range: Range,
  ask: Omit<Ask, 'params'>,
): Promise<Answer<Exemplar[]>> {
  const params = { start: range.fromMs / 1e3, end: range.toMs / 1e3 };
  const send = (query: string) =>
    getJson<{ data: Wire[] | null }>('/api/v1/query_exemplars', { ...ask, params: { query, ...params } });
  const answer = await scoped('promql', expr, ask.scope, send);
  return { ...answer, data: shapeExemplars(answer.data.data ?? []) };
}

export function shapeExemplars(wire: readonly Wire[]): Exemplar[] {
  return wire.flatMap((one) =>
    one.exemplars.map(({ labels, value, timestamp }) => ({
      series: one.seriesLabels,
      labels,
      value: Number(value),
      time: timestamp,
      traceId: traceIdOf(labels),
    })),
  );
}

/** Names senders give the id of a trace; OpenTelemetry's comes first. */
const TRACE_LABELS = ['trace_id', 'traceID', 'traceId', 'TraceID', 'trace.id'];

function traceIdOf(labels: Labels): string | null {
  const id = TRACE_LABELS.map((name) => labels[name]).find(
    (value) => value !== undefined && /^[0-9a-f]{1,32}$/i.test(value),
  );
  return id ? id.toLowerCase() : null;
}
