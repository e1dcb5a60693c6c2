/** Asking the node from a component: one cache, and the coverage of everything that is on the screen. */
import { keepPreviousData, QueryClient, type UseQueryResult, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useRef, useSyncExternalStore } from 'react';
import { type Coverage, mergeCoverage } from '../api/coverage';
import { type Answer, ApiError } from '../api/http';

export function createClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // Keys carry the instant they ask about, so an answer never goes stale under its own key.
        staleTime: Infinity,
        // Every refresh makes new keys; old answers leave soon or the tab grows all night.
        gcTime: 60_000,
        refetchOnWindowFocus: false,
        retry: (failures, error) =>
          failures < 2 && error instanceof ApiError && (error.status === 0 || error.status === 503),
        retryDelay: (attempt) => 500 * 2 ** attempt,
      },
    },
  });
}

export interface AnswerOptions {
  enabled?: boolean;
  /** Lists that are the same for every range: how long before they are asked for again. */
  staleMs?: number;
  /** Ask again on its own after this long. */
  everyMs?: number;
  /** Too large to be compared, part by part, with the answer before. */
  large?: boolean;
}

export function useAnswer<T>(
  key: readonly unknown[],
  ask: (signal: AbortSignal) => Promise<Answer<T>>,
  options: AnswerOptions = {},
): UseQueryResult<Answer<T>, Error> {
  return useQuery<Answer<T>, Error>({
    queryKey: key,
    queryFn: ({ signal }) => ask(signal),
    enabled: options.enabled ?? true,
    staleTime: options.staleMs ?? Infinity,
    meta: { rangeFree: options.staleMs !== undefined },
    refetchInterval: options.everyMs ?? false,
    structuralSharing: !options.large,
    // The last answer stays on the screen until the next one is here: a refresh must not blink.
    placeholderData: keepPreviousData,
  });
}

/**
 * An answer that must not stand in for another question: `own` is kept over a refresh of the same subject, and empty
 * while a new one is asked for.
 */
export function useAnswerAbout<T>(
  subject: string,
  key: readonly unknown[],
  ask: (signal: AbortSignal) => Promise<Answer<T>>,
  options: AnswerOptions = {},
): { own: Answer<T> | undefined; error: Error | null; isFetching: boolean; refetch: () => void } {
  const answer = useAnswer<{ subject: string; own: Answer<T> }>(
    [...key, subject],
    async (signal) => {
      const own = await ask(signal);
      return { ...own, data: { subject, own } };
    },
    options,
  );
  const kept = answer.data?.data;
  return {
    own: kept?.subject === subject ? kept.own : undefined,
    error: answer.error,
    isFetching: answer.isFetching,
    refetch: () => void answer.refetch(),
  };
}

/** Asks again for what does not depend on the range; everything else gets a new key when `now` advances. */
export function refreshLists(client: QueryClient): void {
  void client.invalidateQueries({ predicate: (query) => query.meta?.rangeFree === true, refetchType: 'active' });
}

/** Worst coverage per cluster, replica and signal over all answers that mounted components show. */
export function usePageCoverage(): Coverage[] {
  const client = useQueryClient();
  const last = useRef<{ text: string; rows: Coverage[] }>({ text: '[]', rows: [] });
  const subscribe = useCallback((changed: () => void) => client.getQueryCache().subscribe(changed), [client]);
  const snapshot = useCallback(() => {
    const active = client.getQueryCache().findAll({ type: 'active' });
    // A refusal may say who was missing; what was on the screen before it is not the answer any more.
    const rows = mergeCoverage(
      active.flatMap(({ state }) =>
        state.error instanceof ApiError && state.error.coverage.length > 0
          ? [state.error.coverage]
          : coverageIn(state.data),
      ),
    );
    const text = JSON.stringify(rows);
    // The same object until something changed, or React would render for ever.
    if (text !== last.current.text) last.current = { text, rows };
    return last.current.rows;
  }, [client]);
  return useSyncExternalStore(subscribe, snapshot);
}

function coverageIn(data: unknown): Coverage[][] {
  if (typeof data !== 'object' || data === null) return [];
  if ('pages' in data && Array.isArray(data.pages)) return data.pages.flatMap(coverageIn);
  return 'coverage' in data && Array.isArray(data.coverage) ? [data.coverage as Coverage[]] : [];
}
