/** One trace over many clusters: which cluster each span ran in, a lane for each, and a gap for each that did not answer. */
import { type Coverage, coverageName } from '../api/coverage';
import type { KeyValue } from '../api/jaeger';
import type { Span, Trace } from './trace';
import { union } from './gaps';

/** Resource attributes that name the cluster; OpenTelemetry's comes first. */
const ATTRIBUTES = ['k8s.cluster.name', 'cluster'];

/** Empty where neither the resource nor the span says. */
export function clusterOf(process: readonly KeyValue[], tags: readonly KeyValue[]): string {
  for (const list of [process, tags]) {
    for (const name of ATTRIBUTES) {
      const value = list.find((tag) => tag.key === name)?.value;
      if (typeof value === 'string' && value !== '') return value;
    }
  }
  return '';
}

export interface Lane {
  cluster: string;
  spans: number;
  errors: number;
  /** When any span of it ran, in microseconds from the start of the trace. */
  busy: { from: number; to: number }[];
  busyUs: number;
}

/** In the order in which clusters enter the trace. */
export function lanesOf(trace: Trace): Lane[] {
  const byCluster = new Map<string, Span[]>();
  for (const span of trace.spans) {
    if (span.missing) continue;
    const list = byCluster.get(span.cluster);
    if (list) list.push(span);
    else byCluster.set(span.cluster, [span]);
  }
  const start = (spans: readonly Span[]) => spans.reduce((low, span) => Math.min(low, span.startUs), Infinity);
  return [...byCluster]
    .sort(([a, x], [b, y]) => start(x) - start(y) || a.localeCompare(b))
    .map(([cluster, spans]) => {
      const busy = union(spans.map((span) => ({ fromMs: span.startUs, toMs: span.startUs + span.durationUs }))).map(
        ({ fromMs, toMs }) => ({ from: fromMs, to: toMs }),
      );
      return {
        cluster,
        spans: spans.length,
        errors: spans.filter((span) => span.error).length,
        busy,
        busyUs: busy.reduce((sum, one) => sum + one.to - one.from, 0),
      };
    });
}

export interface LaneGap {
  cluster: string;
  name: string;
  state: Coverage['state'];
  reason: string;
}

/** Who may hold spans of this trace that are not here. */
export function laneGaps(coverage: readonly Coverage[]): LaneGap[] {
  return coverage
    .filter((row) => row.state !== 'complete')
    .map((row) => ({ cluster: row.cluster, name: coverageName(row), state: row.state, reason: row.reason }));
}
