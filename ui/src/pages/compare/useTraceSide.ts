/** One of the two traces of a comparison, and what is made of it. */
import { useMemo } from 'react';
import { ApiError } from '../../api/http';
import { traceById } from '../../api/jaeger';
import { type LaneGap, laneGaps } from '../../lib/lanes';
import { type PathNode, pathTree } from '../../lib/paths';
import { measureSkew } from '../../lib/skew';
import { selfTimes, type Trace, treeOf } from '../../lib/trace';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';

export interface TraceSide {
  /** As it was asked for; empty where it was not. */
  id: string;
  trace: Trace | undefined;
  nodes: readonly PathNode[];
  /** Who may hold more of it. */
  gaps: readonly LaneGap[];
  loading: boolean;
  /** Nobody who answered has it. */
  gone: boolean;
  error: Error | null;
  refetch: () => void;
}

const NO_NODES: readonly PathNode[] = [];

export function useTraceSide(id: string | undefined, raw: boolean): TraceSide {
  const { asker } = useView();
  const answer = useAnswer(['trace', id, asker], (signal) => traceById(id ?? '', { ...asker, signal }), {
    enabled: id !== undefined,
    staleMs: 30_000,
    large: true,
  });
  const own = answer.isPlaceholderData || id === undefined ? undefined : answer.data;
  const data = own?.data ?? undefined;
  const built = useMemo(() => {
    if (!data) return undefined;
    const trace = treeOf(data, raw ? undefined : measureSkew(data.spans)?.moves);
    return { trace, nodes: pathTree(trace.spans, selfTimes(trace.spans)).nodes };
  }, [data, raw]);
  const failed = id === undefined ? null : answer.error;
  const missing = failed instanceof ApiError && failed.status === 404;
  return {
    id: id ?? '',
    trace: built?.trace,
    nodes: built?.nodes ?? NO_NODES,
    gaps: laneGaps(missing ? failed.coverage : (own?.coverage ?? [])),
    loading: id !== undefined && answer.isFetching && !built,
    gone: missing || own?.data === null,
    error: missing ? null : failed,
    refetch: () => void answer.refetch(),
  };
}
