import { describe, expect, it } from 'vitest';
import type { KeyValue } from '../api/jaeger';
import {
  countQueries,
  logsOfPod,
  logsOfService,
  logsOfSpan,
  logsOfTrace,
  podConditions,
  redOf,
  serviceConditions,
  textOfTrace,
} from './spanlinks';
import { buildTrace, type Span } from './trace';
import { traceOf, ZERO_US } from './tracetext';

const ID = '0af7651916cd43dd8448eb211c80319c';
const LABELS = ['cluster', 'job', 'k8s_namespace_name', 'k8s_pod_name', 'service_name'];
const ZERO_MS = ZERO_US / 1e3;

function oneSpan(resource: Record<string, string>, id = ID) {
  const wire = traceOf('a 0..2000000 service=cart', id);
  const tags: KeyValue[] = Object.entries(resource).map(([key, value]) => ({ key, value }));
  wire.processes = Object.fromEntries(Object.keys(wire.processes).map((name) => [name, { serviceName: 'cart', tags }]));
  const trace = buildTrace(wire);
  return { trace, span: trace.spans[0] as Span };
}
const POD = {
  'k8s.cluster.name': 'prod-01',
  'k8s.namespace.name': 'shop',
  'k8s.pod.name': 'cart-7d9',
  'k8s.pod.uid': 'aa-bb',
};

describe('logs', () => {
  it('of a span are those with its ids, in its own cluster', () => {
    const { trace, span } = oneSpan(POD);
    expect(logsOfSpan(trace, span, LABELS)).toEqual({
      q: `{cluster="prod-01"} | trace_id="${ID}" | span_id="a"`,
      from: String(ZERO_MS - 3e5),
      to: String(ZERO_MS + 2e3 + 3e5),
    });
  });

  it('of a trace are those of every cluster, also where its id is written short', () => {
    expect(logsOfTrace(oneSpan(POD).trace, LABELS).q).toBe(`{cluster=~".+"} | trace_id="${ID}"`);
    expect(logsOfTrace(oneSpan({}, '8448eb211c80319c').trace, ['service_name']).q).toBe(
      '{service_name=~".+"} | trace_id=~"(0{16})?8448eb211c80319c"',
    );
    expect(logsOfTrace(oneSpan({}).trace, []).q).toContain('{service_name=~".+"}');
  });

  it('may name a trace in their text only', () => {
    const { trace, span } = oneSpan(POD);
    expect(textOfTrace(trace, LABELS, span).q).toBe(`{cluster="prod-01"} |= "${ID}"`);
  });

  it('of a pod are what it wrote around the span, by its name, else by its uid', () => {
    const { trace, span } = oneSpan(POD);
    expect(logsOfPod(trace, span, LABELS)).toEqual({
      q: '{cluster="prod-01", k8s_namespace_name="shop", k8s_pod_name="cart-7d9"}',
      from: String(ZERO_MS - 5e3),
      to: String(ZERO_MS + 2e3 + 5e3),
    });
    expect(logsOfPod(trace, span, ['cluster', 'namespace', 'pod'])?.q).toBe(
      '{cluster="prod-01", namespace="shop", pod="cart-7d9"}',
    );
    expect(logsOfPod(trace, span, ['cluster'])?.q).toBe('{cluster="prod-01"} | k8s_pod_uid="aa-bb"');
    const byUid = oneSpan({ 'k8s.pod.uid': 'aa-bb' });
    expect(logsOfPod(byUid.trace, byUid.span, LABELS)?.q).toBe('{cluster=~".+"} | k8s_pod_uid="aa-bb"');
    const none = oneSpan({});
    expect(logsOfPod(none.trace, none.span, LABELS)).toBeNull();
  });

  it('around a span are asked for by the clock of its own host, not by where it was moved to', () => {
    const { trace, span } = oneSpan(POD);
    expect(logsOfPod(trace, { ...span, movedUs: 7e6 }, LABELS)?.from).toBe(String(ZERO_MS - 7e3 - 5e3));
  });

  it('of a service are by the label that logs call it', () => {
    const { trace, span } = oneSpan({});
    expect(logsOfService(trace, span, LABELS).q).toBe('{service_name="cart"}');
    expect(logsOfService(trace, span, ['app']).q).toBe('{app="cart"}');
    expect(logsOfService(trace, span, []).q).toBe('{service_name="cart"}');
  });

  it('are counted over the time of the trace', () => {
    const { bySpan, inText, atMs } = countQueries(oneSpan(POD).trace, LABELS);
    expect(bySpan).toBe(`sum by (span_id) (count_over_time({cluster=~".+"} | trace_id="${ID}" [602s]))`);
    expect(inText).toBe(`sum(count_over_time({cluster=~".+"} |= "${ID}" [602s]))`);
    expect(atMs).toBe(ZERO_MS + 2e3 + 3e5);
  });
});

describe('metrics', () => {
  it('count the spans of an operation by whichever names there are', () => {
    const { span } = oneSpan({});
    expect(redOf(span, ['traces_spanmetrics_calls_total', 'traces_spanmetrics_latency_bucket'])).toEqual([
      'sum(rate(traces_spanmetrics_calls_total{service="cart", span_name="a"}[5m]))',
      'sum(rate(traces_spanmetrics_calls_total{service="cart", span_name="a", status_code="STATUS_CODE_ERROR"}[5m])) / sum(rate(traces_spanmetrics_calls_total{service="cart", span_name="a"}[5m]))',
      'histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{service="cart", span_name="a"}[5m])))',
    ]);
    expect(
      redOf(span, ['traces_span_metrics_calls_total', 'traces_span_metrics_duration_milliseconds_bucket'])?.[2],
    ).toContain('service_name="cart"');
    expect(redOf(span, ['up'])).toBeNull();
  });

  it('of its pod and service are those with a label that says so', () => {
    const { span } = oneSpan({ ...POD, 'service.namespace': 'shop' });
    expect(podConditions(span, ['pod', 'k8s_pod_name'])).toEqual([
      { name: 'k8s_pod_name', value: 'cart-7d9' },
      { name: 'pod', value: 'cart-7d9' },
    ]);
    expect(serviceConditions(span, ['job', 'service_name'])).toEqual([
      { name: 'service_name', value: 'cart' },
      { name: 'job', value: 'shop/cart' },
    ]);
    expect(podConditions(oneSpan({}).span, ['pod'])).toEqual([]);
  });
});
