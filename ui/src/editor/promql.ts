/** PromQL with the completion engine Prometheus ships, fed from the node this page came from. */
import type { Extension } from '@codemirror/state';
import { type PrometheusClient, PromQLExtension } from '@prometheus-io/codemirror-promql';
import * as prom from '../api/prom';
import type { Asker } from '../api/http';
import type { Range } from '../lib/time';

interface Where {
  asker: Asker;
  range: Range;
}

/** `where` is asked at every completion, so that a changed range or tenant needs no new editor. */
export function promql(where: () => Where): Extension {
  return new PromQLExtension().setComplete({ remote: client(where), maxMetricsMetadata: 20_000 }).asExtension();
}

/** A burst of typing asks once; a metric that appeared meanwhile is offered half a minute later. */
const KEEP_MS = 30_000;
/** Look-ups kept: past it the oldest goes. */
const KEPT = 50;

function client(where: () => Where): PrometheusClient {
  const kept = new Map<string, { atMs: number; answer: Promise<unknown> }>();
  const once = <T>(key: readonly unknown[], ask: () => Promise<T>, empty: T): Promise<T> => {
    const name = JSON.stringify([where().asker, ...key]);
    const seen = kept.get(name);
    if (seen && performance.now() - seen.atMs < KEEP_MS) return seen.answer as Promise<T>;
    // A failed look-up means fewer suggestions; it must not interrupt typing.
    const answer = ask().catch(() => {
      kept.delete(name);
      return empty;
    });
    kept.delete(name);
    kept.set(name, { atMs: performance.now(), answer });
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT) break;
      kept.delete(oldest);
    }
    return answer;
  };
  const ask = () => where().asker;
  const values = (label: string, metric?: string) =>
    once(
      ['values', label, metric],
      () => prom.labelValues(label, ask(), where().range, metric).then((answer) => answer.data),
      [],
    );
  return {
    labelNames: (metric) => once(['names', metric], () => prom.labelNames(ask(), where().range, metric), []),
    labelValues: values,
    metricNames: () => values('__name__'),
    metricMetadata: () => once(['metadata'], () => prom.metadata(ask()).then((answer) => answer.data), {}),
    series: (metric) =>
      once(
        ['series', metric],
        () =>
          prom.seriesOf(metric, ask(), where().range).then((rows) => rows.map((row) => new Map(Object.entries(row)))),
        [],
      ),
    flags: () => Promise.resolve({}),
  };
}
