import { expect, it } from 'vitest';
import { bucketsOf, callsQuery, latencyQuery, operationsOf } from './spanmetrics';

it('questions name the service and the kinds of its spans', () => {
  const subject = { service: 'a "b"', side: 'served' as const };
  expect(callsQuery(subject, 'status_code', '5m')).toBe(
    'sum by (status_code) (rate(traces_spanmetrics_calls_total{service="a \\"b\\"", span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"}[5m]))',
  );
  expect(latencyQuery({ service: 'a', side: 'all', operation: 'GET /' }, 0.99, 'span_name', '1h')).toBe(
    'histogram_quantile(0.99, sum by (le, span_name) (rate(traces_spanmetrics_latency_bucket{service="a", span_name="GET /"}[1h])))',
  );
  expect(bucketsOf({ service: 'a', side: 'calls' })).toContain('SPAN_KIND_CLIENT|SPAN_KIND_PRODUCER');
});

it('operations are summed over their statuses', () => {
  const at = (labels: Record<string, string>, value: number) => ({ labels, times: [0], values: [value] });
  const rows = operationsOf(
    [
      at({ span_name: 'GET', status_code: 'STATUS_CODE_OK' }, 3),
      at({ span_name: 'GET', status_code: 'STATUS_CODE_ERROR' }, 1),
      at({ span_name: 'idle', status_code: 'STATUS_CODE_OK' }, 0),
    ],
    [[at({ span_name: 'GET' }, 0.1)], [at({ span_name: 'GET' }, NaN)], []],
  );
  expect(rows).toEqual([{ name: 'GET', rate: 4, failed: 1, p50: 0.1, p95: null, p99: null }]);
});
