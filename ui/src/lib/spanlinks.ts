/**
 * From a trace or a span to the logs and metrics of what made it, by what its resource says and by the labels there are:
 * nothing needs to be configured. Logs are asked for in the cluster the span ran in.
 */
import { quote } from './logql';
import { selector } from './promtext';
import { CLUSTER } from './scope';
import { everyStream } from './searchtext';
import { sentId } from './spandata';
import { valueText } from './spanfind';
import type { Span, Trace } from './trace';

/** Where the logs page is opened. */
export interface LogsAt {
  q: string;
  /** Milliseconds since the epoch, as the address has them. */
  from: string;
  to: string;
}

/** Air around a trace for lines that name it: clocks that disagree, and lines written after the fact. */
const TRACE_AIR_MS = 5 * 6e4;
/** Around a span, where only time tells which lines are its own. */
const SPAN_AIR_MS = 5e3;

interface Times {
  fromMs: number;
  toMs: number;
}

export function traceTimes(trace: Trace): Times {
  return {
    fromMs: Math.floor(trace.startUs / 1e3 - TRACE_AIR_MS),
    toMs: Math.ceil((trace.startUs + trace.durationUs) / 1e3 + TRACE_AIR_MS),
  };
}

/** By the clock of its host: that is what its lines were written by. */
function spanTimes(trace: Trace, span: Span): Times {
  const startMs = (trace.startUs + span.startUs - span.movedUs) / 1e3;
  return {
    fromMs: Math.floor(startMs - SPAN_AIR_MS),
    toMs: Math.ceil(startMs + span.durationUs / 1e3 + SPAN_AIR_MS),
  };
}

function at(q: string, { fromMs, toMs }: Times): LogsAt {
  return { q, from: String(fromMs), to: String(toMs) };
}

/** Streams that have what is wanted of the labels there are; all of them where there is none of it. */
function streams(labels: readonly string[], wanted: readonly (readonly [name: string, value: string])[]): string {
  const usable = wanted.filter(([name, value]) => value !== '' && labels.includes(name));
  if (usable.length === 0) return everyStream(labels) || '{service_name=~".+"}';
  return `{${usable.map(([name, value]) => `${name}=${quote(value)}`).join(', ')}}`;
}

/** Jaeger writes an id whose upper half is zero short; logs have it in full, or as they were told it. */
function byTrace(id: string): string {
  return id.length === 16 ? `trace_id=~${quote(`(0{16})?${id}`)}` : `trace_id=${quote(id)}`;
}

export function logsOfTrace(trace: Trace, labels: readonly string[]): LogsAt {
  return at(`${streams(labels, [])} | ${byTrace(trace.id)}`, traceTimes(trace));
}

/** Lines that have the id of the trace in their text only. */
export function textOfTrace(trace: Trace, labels: readonly string[], span?: Span): LogsAt {
  const own = streams(labels, [[CLUSTER, span?.cluster ?? '']]);
  return at(`${own} |= ${quote(trace.id)}`, traceTimes(trace));
}

export function logsOfSpan(trace: Trace, span: Span, labels: readonly string[]): LogsAt {
  const own = streams(labels, [[CLUSTER, span.cluster]]);
  return at(`${own} | ${byTrace(trace.id)} | span_id=${quote(sentId(span.id))}`, traceTimes(trace));
}

/** What a pod's logs and metrics may call it, OpenTelemetry's name first. */
const POD_LABELS = ['k8s_pod_name', 'pod', 'pod_name', 'kubernetes_pod_name'];
const NAMESPACE_LABELS = ['k8s_namespace_name', 'namespace', 'kubernetes_namespace_name'];

export interface Pod {
  name: string;
  uid: string;
  namespace: string;
}

export function podOf(span: Span): Pod | null {
  const said = (key: string) => {
    const tag = span.process.find((one) => one.key === key) ?? span.tags.find((one) => one.key === key);
    return tag ? valueText(tag.value) : '';
  };
  const pod = { name: said('k8s.pod.name'), uid: said('k8s.pod.uid'), namespace: said('k8s.namespace.name') };
  return pod.name === '' && pod.uid === '' ? null : pod;
}

/** Everything its pod wrote around it; null where it says no pod. */
export function logsOfPod(trace: Trace, span: Span, labels: readonly string[]): LogsAt | null {
  const pod = podOf(span);
  if (!pod) return null;
  const byName = POD_LABELS.find((name) => labels.includes(name));
  const place = [
    [CLUSTER, span.cluster],
    [NAMESPACE_LABELS.find((name) => labels.includes(name)) ?? '', pod.namespace],
  ] as const;
  const times = spanTimes(trace, span);
  if (pod.name !== '' && byName) return at(streams(labels, [...place, [byName, pod.name]]), times);
  if (labels.includes('k8s_pod_uid')) return at(streams(labels, [...place, ['k8s_pod_uid', pod.uid]]), times);
  const filter = pod.uid ? `k8s_pod_uid=${quote(pod.uid)}` : `k8s_pod_name=${quote(pod.name)}`;
  return at(`${streams(labels, place)} | ${filter}`, times);
}

export function logsOfService(trace: Trace, span: Span, labels: readonly string[]): LogsAt {
  const name = ['service_name', 'service', 'app', 'job'].find((one) => labels.includes(one)) ?? 'service_name';
  const wanted = [
    [CLUSTER, span.cluster],
    [name, span.service],
  ] as const;
  return at(streams([...labels, name], wanted), spanTimes(trace, span));
}

/** Queries that count the lines of a trace: by span where lines carry ids of spans, and those that name it in their text. */
export function countQueries(
  trace: Trace,
  labels: readonly string[],
): { bySpan: string; inText: string; atMs: number } {
  const { fromMs, toMs } = traceTimes(trace);
  const range = `[${Math.ceil((toMs - fromMs) / 1e3)}s]`;
  return {
    bySpan: `sum by (span_id) (count_over_time(${logsOfTrace(trace, labels).q} ${range}))`,
    inText: `sum(count_over_time(${textOfTrace(trace, labels).q} ${range}))`,
    atMs: toMs,
  };
}

/** Metrics that count the spans of a service, as Tempo's generator and the Collector's connector name them. */
const RED = [
  { calls: 'traces_spanmetrics_calls_total', latency: 'traces_spanmetrics_latency_bucket', service: 'service' },
  {
    calls: 'traces_span_metrics_calls_total',
    latency: 'traces_span_metrics_duration_seconds_bucket',
    service: 'service_name',
  },
  {
    calls: 'traces_span_metrics_calls_total',
    latency: 'traces_span_metrics_duration_milliseconds_bucket',
    service: 'service_name',
  },
] as const;

export const RED_NAMES =
  '{__name__=~"traces_span_?metrics_(calls_total|latency_bucket|duration_(milli)?seconds_bucket)"}';

/** Rate, errors and latency of the span's operation; null where nothing counts spans. */
export function redOf(span: Span, metrics: readonly string[]): string[] | null {
  const found = RED.find((one) => metrics.includes(one.calls) && metrics.includes(one.latency));
  if (!found) return null;
  const of = (more: readonly (readonly [string, string])[] = []) =>
    [[found.service, span.service], ['span_name', span.operation], ...more].map(([name = '', value = '']) => ({
      name,
      op: '=' as const,
      value,
    }));
  const calls = selector(found.calls, of());
  const failed = selector(found.calls, of([['status_code', 'STATUS_CODE_ERROR']]));
  return [
    `sum(rate(${calls}[5m]))`,
    `sum(rate(${failed}[5m])) / sum(rate(${calls}[5m]))`,
    `histogram_quantile(0.95, sum by (le) (rate(${selector(found.latency, of())}[5m])))`,
  ];
}

/** Around a trace, so that a chart shows what was usual. */
const METRICS_AIR_MS = 15 * 6e4;

export function metricTimes(trace: Trace): Times {
  return {
    fromMs: Math.floor(trace.startUs / 1e3 - METRICS_AIR_MS),
    toMs: Math.ceil((trace.startUs + trace.durationUs) / 1e3 + METRICS_AIR_MS),
  };
}

/** A label and its value: metrics that have it are of what is meant, where there are any. */
export interface Condition {
  name: string;
  value: string;
}

/** What metrics of its pod would carry, the surest first. */
export function podConditions(span: Span, labels: readonly string[]): Condition[] {
  const pod = podOf(span);
  if (!pod || pod.name === '') return [];
  return POD_LABELS.filter((name) => labels.includes(name)).map((name) => ({ name, value: pod.name }));
}

/** What metrics of its service would carry; `job` has the namespace in front, as OpenTelemetry makes it. */
export function serviceConditions(span: Span, labels: readonly string[]): Condition[] {
  const namespace = span.process.find((tag) => tag.key === 'service.namespace')?.value;
  const job = namespace ? `${valueText(namespace)}/${span.service}` : span.service;
  return [
    { name: 'service_name', value: span.service },
    { name: 'job', value: job },
    { name: 'service', value: span.service },
    { name: 'app', value: span.service },
  ].filter(({ name }) => labels.includes(name));
}
