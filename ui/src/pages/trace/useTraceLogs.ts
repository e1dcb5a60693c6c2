/** The lines that name a trace, counted once for all of its spans. */
import { mergeCoverage } from '../../api/coverage';
import type { Answer, Asker } from '../../api/http';
import { ApiError } from '../../api/http';
import { logLabels, queryLogInstant } from '../../api/loki';
import type { PromResult } from '../../api/prom';
import { countQueries, traceTimes } from '../../lib/spanlinks';
import type { Trace } from '../../lib/trace';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';

export interface TraceLogs {
  /** Labels that streams have around the trace. */
  labels: readonly string[];
  /** Lines with the id of the trace and of a span, by that; null while, or where, it is not known. */
  bySpan: ReadonlyMap<string, number> | null;
  /** Lines with the id of the trace. */
  lines: number;
  /** Lines that have it in their text only. */
  inText: number;
}

const UNKNOWN: TraceLogs = { labels: [], bySpan: null, lines: 0, inText: 0 };

export function useTraceLogs(trace: Trace): TraceLogs {
  const { asker } = useView();
  const everywhere = withoutScope(asker);
  const answer = useAnswer(
    ['logs of a trace', trace.id, trace.startUs, trace.durationUs, asker.tenant],
    (signal) => count(trace, { ...everywhere, signal }),
    { staleMs: 60_000 },
  );
  return (answer.isPlaceholderData ? undefined : answer.data?.data) ?? UNKNOWN;
}

/** A trace crosses clusters, and its scope is itself. */
export function withoutScope(asker: Asker): Asker {
  return { ...asker, scope: { ...asker.scope, labels: [] } };
}

async function count(trace: Trace, ask: Asker & { signal: AbortSignal }): Promise<Answer<TraceLogs>> {
  const labels = await logLabels(ask, traceTimes(trace));
  const queries = countQueries(trace, labels.data);
  const [bySpan, inText] = await Promise.all(
    [queries.bySpan, queries.inText].map((query) => counted(query, queries.atMs, ask)),
  );
  const spans = new Map<string, number>();
  let lines = 0;
  for (const one of bySpan?.data.series ?? []) {
    const value = one.values[0] ?? 0;
    lines += value;
    const span = one.labels.span_id;
    if (span) spans.set(span, (spans.get(span) ?? 0) + value);
  }
  const texts = inText?.data.series.reduce((sum, one) => sum + (one.values[0] ?? 0), 0) ?? 0;
  return {
    ...labels,
    coverage: mergeCoverage([labels, bySpan, inText].map((one) => one?.coverage ?? [])),
    data: { labels: labels.data, bySpan: bySpan ? spans : null, lines, inText: texts },
  };
}

/** Null where the node refuses: then links lead to queries that were not counted. */
async function counted(query: string, atMs: number, ask: Asker): Promise<Answer<PromResult> | null> {
  try {
    return await queryLogInstant(query, atMs, ask);
  } catch (error) {
    if (error instanceof ApiError) return null;
    throw error;
  }
}
