/** The service graph of the range: seven questions about metrics, one answer. */
import { useMemo } from 'react';
import { type Coverage, mergeCoverage } from '../api/coverage';
import { pairedEdges, queryInstant } from '../api/prom';
import {
  buildGraph,
  type GraphQueries,
  graphQueries,
  type Loose,
  looseOf,
  type PairedEdges,
  type ServiceGraph,
} from '../lib/servicegraph';
import { promDuration } from '../lib/steps';
import { useAnswerAbout } from './answers';
import { useView } from './view';

/** Shorter windows hold no two samples of a metric that is written every minute. */
const SHORTEST_S = 120;

export interface KnownGraph {
  graph: ServiceGraph | null;
  /** Null while it is not known. */
  loose: Loose | null;
  /** What was counted in spans, where it had to be. */
  paired: PairedEdges | null;
  coverage: Coverage[];
  error: Error | null;
  isFetching: boolean;
  retry: () => void;
}

export function useGraph(): KnownGraph {
  const { range } = useView();
  const seconds = Math.max(SHORTEST_S, (range.toMs - range.fromMs) / 1e3);
  const window = promDuration(seconds);
  const queries = graphQueries(window);
  const requests = useVector('requests', queries);
  const failed = useVector('failed', queries);
  const serverP95 = useVector('serverP95', queries);
  const clientP95 = useVector('clientP95', queries);
  const calls = useVector('calls', queries);
  const callsP95 = useVector('callsP95', queries);
  const loose = useVector('loose', queries);
  const lost = loose.own ? looseOf(loose.own.data.series) : null;
  const paired = usePaired(seconds, (lost?.unpaired ?? 0) > 0);
  const all = [requests, failed, serverP95, clientP95, calls, callsP95, loose, paired];
  const parts = all.map((one) => one.own);
  const graph = useMemo(() => {
    // Without errors an edge would look whole: the map waits for what tells its colours.
    if (!requests.own || !failed.own || !calls.own) return null;
    const series = (one: typeof requests) => one.own?.data.series ?? [];
    const answers = {
      requests: series(requests),
      failed: series(failed),
      serverP95: series(serverP95),
      clientP95: series(clientP95),
      calls: series(calls),
      callsP95: series(callsP95),
    };
    return buildGraph(answers, paired.own?.data, seconds);
  }, parts);
  const coverage = useMemo(() => mergeCoverage(parts.map((one) => one?.coverage ?? [])), parts);
  return {
    graph,
    loose: lost,
    paired: paired.own?.data ?? null,
    coverage,
    error: all.find((one) => one.error)?.error ?? null,
    isFetching: all.some((one) => one.isFetching),
    retry: () => all.forEach((one) => one.error && one.refetch()),
  };
}

function useVector(name: keyof GraphQueries, queries: GraphQueries) {
  const { asker, range, from, to, nowMs } = useView();
  return useAnswerAbout(name, ['service graph', queries[name], asker, from, to, nowMs], (signal) =>
    queryInstant(queries[name], range.toMs, { ...asker, signal }),
  );
}

/** Calls of which one half is on another node: metrics do not have them, spans do. */
function usePaired(seconds: number, isWanted: boolean) {
  const { asker, range, from, to, nowMs } = useView();
  return useAnswerAbout(
    'paired',
    ['service graph', 'paired', seconds, asker, from, to, nowMs],
    (signal) => pairedEdges(range.toMs - seconds * 1e3, range.toMs, { ...asker, signal }),
    { enabled: isWanted },
  );
}
