/** PromQL with the completion engine Prometheus ships, fed from the node this page came from. */
import type { Extension } from '@codemirror/state';
import { type PrometheusClient, PromQLExtension } from '@prometheus-io/codemirror-promql';
import * as prom from '../api/prom';
import type { Range } from '../lib/time';

interface Where {
  tenant: string;
  range: Range;
}

/** `where` is asked at every completion, so that a changed range or tenant needs no new editor. */
export function promql(where: () => Where): Extension {
  return new PromQLExtension().setComplete({ remote: client(where), maxMetricsMetadata: 20_000 }).asExtension();
}

function client(where: () => Where): PrometheusClient {
  // A failed look-up means fewer suggestions; it must not interrupt typing.
  const quietly = <T>(work: Promise<T>, empty: T) => work.catch(() => empty);
  return {
    labelNames: (metric) => quietly(prom.labelNames({ tenant: where().tenant }, where().range, metric), []),
    labelValues: (label, metric) =>
      quietly(
        prom.labelValues(label, { tenant: where().tenant }, where().range, metric).then((answer) => answer.data),
        [],
      ),
    metricMetadata: () => quietly(prom.metadata({ tenant: where().tenant }), {}),
    series: (metric) =>
      quietly(
        prom
          .seriesOf(metric, { tenant: where().tenant }, where().range)
          .then((rows) => rows.map((row) => new Map(Object.entries(row)))),
        [],
      ),
    metricNames: () =>
      quietly(
        prom.labelValues('__name__', { tenant: where().tenant }, where().range).then((answer) => answer.data),
        [],
      ),
    flags: () => Promise.resolve({}),
  };
}
