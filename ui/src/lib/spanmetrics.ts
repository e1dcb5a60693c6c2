/** Questions about one service to the metrics that are made of its spans: rate, errors and durations. */
import type { Series } from '../api/prom';
import { type Matcher, selector } from './promtext';
import { CALLS, LATENCY } from './servicegraph';

/** Which spans of a service count: those it serves, those it calls others with, or every one. */
export type SpanSide = 'served' | 'calls' | 'all';

const KINDS: Record<SpanSide, string> = {
  served: 'SPAN_KIND_SERVER|SPAN_KIND_CONSUMER',
  calls: 'SPAN_KIND_CLIENT|SPAN_KIND_PRODUCER',
  all: '',
};

export interface Subject {
  service: string;
  side: SpanSide;
  /** One operation alone. */
  operation?: string | undefined;
}

function matchersOf({ service, side, operation }: Subject): Matcher[] {
  const out: Matcher[] = [{ name: 'service', op: '=', value: service }];
  if (KINDS[side] !== '') out.push({ name: 'span_kind', op: '=~', value: KINDS[side] });
  if (operation !== undefined) out.push({ name: 'span_name', op: '=', value: operation });
  return out;
}

export function callsQuery(subject: Subject, by: string, window: string): string {
  return `sum by (${by}) (rate(${selector(CALLS, matchersOf(subject))}[${window}]))`;
}

export function latencyQuery(subject: Subject, q: number, by: string, window: string): string {
  const labels = by === '' ? 'le' : `le, ${by}`;
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${bucketsOf(subject)}[${window}])))`;
}

/** The series whose exemplars name the traces behind a latency. */
export function bucketsOf(subject: Subject): string {
  return selector(`${LATENCY}_bucket`, matchersOf(subject));
}

export function isFailed(one: Series): boolean {
  return (one.labels.status_code ?? '').endsWith('ERROR');
}

export interface Operation {
  name: string;
  rate: number;
  failed: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

function lastOf(one: Series | undefined): number | null {
  const value = one?.values[one.values.length - 1];
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** One row per span name, from vectors over the whole range. */
export function operationsOf(calls: readonly Series[], quantiles: readonly (readonly Series[])[]): Operation[] {
  const byName = new Map<string, Operation>();
  const [p50, p95, p99] = quantiles.map((series) => new Map(series.map((one) => [one.labels.span_name ?? '', one])));
  for (const one of calls) {
    const name = one.labels.span_name ?? '';
    const row = byName.get(name) ?? {
      name,
      rate: 0,
      failed: 0,
      p50: lastOf(p50?.get(name)),
      p95: lastOf(p95?.get(name)),
      p99: lastOf(p99?.get(name)),
    };
    byName.set(name, row);
    row.rate += lastOf(one) ?? 0;
    if (isFailed(one)) row.failed += lastOf(one) ?? 0;
  }
  return [...byName.values()].filter((row) => row.rate > 0);
}
