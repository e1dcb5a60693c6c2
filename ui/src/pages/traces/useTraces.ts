/** What the page is about: the query of the address, and how a click changes it. */
import { useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { type Area, parseArea } from '../../lib/area';
import { fromOldSearch } from '../../lib/traceform';
import { addTraceCondition, isMetricsQuery } from '../../lib/traceql';
import { advanceNow } from '../../state/now';
import { usePatch, useView } from '../../state/view';

export interface Traces {
  /** TraceQL; every span where the address names nothing. */
  query: string;
  isMetrics: boolean;
  /** The chosen area of the heat map, inside the range. */
  area: Area | null;
  setQuery: (query: string) => void;
  /** One more condition, in place of its opposite. */
  onFilter: (condition: string, opposite: string) => void;
}

export const EVERYTHING = '{}';

export function useTraces(): Traces {
  const search = useSearch({ from: '/traces' });
  const { range } = useView();
  const patch = usePatch();
  const query = search.q ?? fromOldSearch(search) ?? EVERYTHING;
  const setQuery = useCallback(
    (next: string) => {
      advanceNow();
      const old = { service: undefined, operation: undefined, tags: undefined, min: undefined, max: undefined };
      patch({ ...old, q: next === EVERYTHING ? undefined : next, sel: undefined });
    },
    [patch],
  );
  const onFilter = useCallback(
    (condition: string, opposite: string) => setQuery(addTraceCondition(query, condition, opposite)),
    [query, setQuery],
  );
  const { sel } = search;
  const { fromMs, toMs } = range;
  const area = useMemo(() => {
    const found = parseArea(sel);
    // One from another range is not in the picture.
    return found && found.toMs > fromMs && found.fromMs < toMs ? found : null;
  }, [sel, fromMs, toMs]);
  return { query, isMetrics: isMetricsQuery(query), area, setQuery, onFilter };
}
