/** Which metrics there are of a span's operation, service and pod. */
import { mergeCoverage } from '../../api/coverage';
import type { Answer, Asker } from '../../api/http';
import { findSeries, labelNames, labelValues } from '../../api/prom';
import { selector } from '../../lib/promtext';
import { CLUSTER } from '../../lib/scope';
import {
  type Condition,
  metricTimes,
  podConditions,
  podOf,
  RED_NAMES,
  redOf,
  serviceConditions,
} from '../../lib/spanlinks';
import type { Span, Trace } from '../../lib/trace';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';
import { withoutScope } from './useTraceLogs';

export interface SpanMetrics {
  /** Rate, errors and latency of its operation, as queries. */
  red: readonly string[] | null;
  pod: Condition | null;
  service: Condition | null;
  /** The scope in which they are of its own cluster; undefined where metrics do not name theirs. */
  scope: string[] | undefined;
}

export function useSpanMetrics(trace: Trace, span: Span): { metrics: SpanMetrics | undefined; loading: boolean } {
  const { asker } = useView();
  const pod = podOf(span);
  const answer = useAnswer(
    ['metrics of a span', trace.id, asker.tenant, span.service, span.operation, span.cluster, pod?.name ?? ''],
    (signal) => find(trace, span, { ...withoutScope(asker), signal }),
    { staleMs: 60_000 },
  );
  return { metrics: answer.isPlaceholderData ? undefined : answer.data?.data, loading: answer.isFetching };
}

async function find(trace: Trace, span: Span, ask: Asker & { signal: AbortSignal }): Promise<Answer<SpanMetrics>> {
  const range = metricTimes(trace);
  const [labels, names] = await Promise.all([labelNames(ask, range), labelValues('__name__', ask, range, RED_NAMES)]);
  const inCluster = labels.includes(CLUSTER) && span.cluster !== '' ? [`${CLUSTER}=${span.cluster}`] : undefined;
  const coverage = [names.coverage];
  const first = async (conditions: readonly Condition[]): Promise<Condition | null> => {
    for (const { name, value } of conditions) {
      const found = await findSeries(selector('', [{ name, op: '=', value }]), 1, ask, range);
      coverage.push(found.coverage);
      if (found.data.length > 0) return { name, value };
    }
    return null;
  };
  const [pod, service] = await Promise.all([
    first(podConditions(span, labels)),
    first(serviceConditions(span, labels)),
  ]);
  return {
    ...names,
    coverage: mergeCoverage(coverage),
    data: { red: redOf(span, names.data), pod, service, scope: inCluster },
  };
}
