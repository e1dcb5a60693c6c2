/** Lines newest first, page by page towards the past. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { msToNs, queryLines } from '../../api/loki';
import { joinPages, nextEnd } from '../../lib/loglines';
import { useView } from '../../state/view';

/** One screen is about 40 lines: five of them at once keep scrolling ahead of the network. */
const PAGE = 200;
/** Lines held by a tab. Whoever scrolls this far wants a narrower query, and the page says so. */
export const MOST_LINES = 20_000;

export function useLines(query: string, enabled: boolean) {
  const { range, tenant, nowMs, from, to } = useView();
  const startNs = msToNs(range.fromMs);
  const pages = useInfiniteQuery({
    queryKey: ['lines', query, tenant, from, to, nowMs],
    queryFn: ({ pageParam, signal }) => queryLines(query, startNs, pageParam, PAGE, { tenant, signal }),
    initialPageParam: msToNs(range.toMs),
    getNextPageParam: (page, all, end) => (all.length * PAGE >= MOST_LINES ? undefined : nextEnd(page.data, PAGE, end)),
    placeholderData: keepPreviousData,
    enabled,
  });
  const lines = useMemo(() => joinPages((pages.data?.pages ?? []).map((page) => page.data)), [pages.data]);
  return { ...pages, lines };
}
