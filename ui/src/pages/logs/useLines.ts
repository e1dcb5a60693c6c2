/** Lines of the range in one order, page by page from its newer or its older end. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { msToNs, queryLines } from '../../api/loki';
import { joinPages, nextEdge, type Order } from '../../lib/loglines';
import { useView } from '../../state/view';

/** One screen is about 40 lines: five of them at once keep scrolling ahead of the network. */
const PAGE = 200;
/** Lines held by a tab. Whoever scrolls this far wants a narrower query, and the page says so. */
export const MOST_LINES = 20_000;

/**
 * While someone is reading further down (`reading`), an automatic refresh must not pull the lines away: the list stays on
 * the window it was opened with until they come back to its edge. Another query, range or order is another list and moves
 * at once.
 */
export function useLines(query: string, order: Order, reading: boolean) {
  const current = useView();
  const list = JSON.stringify([query, order, current.asker, current.from, current.to]);
  const [held, setHeld] = useState({ list, view: current });
  const stay = reading && held.list === list;
  if (!stay && held.view !== current && (held.list !== list || held.view.nowMs !== current.nowMs)) {
    setHeld({ list, view: current });
  }
  const { range, asker, nowMs, from, to } = stay ? held.view : current;
  const startNs = msToNs(range.fromMs);
  const endNs = msToNs(range.toMs);
  const pages = useInfiniteQuery({
    queryKey: ['lines', query, order, asker, from, to, nowMs],
    queryFn: ({ pageParam, signal }) => {
      const [first, last] = order === 'newest' ? [startNs, pageParam] : [pageParam, endNs];
      return queryLines(query, first, last, PAGE, { ...asker, signal }, order);
    },
    initialPageParam: order === 'newest' ? endNs : startNs,
    getNextPageParam: (page, all, edge) =>
      all.length * PAGE >= MOST_LINES ? undefined : nextEdge(page.data, PAGE, edge, order),
    placeholderData: keepPreviousData,
  });
  const lines = useMemo(() => joinPages((pages.data?.pages ?? []).map((page) => page.data)), [pages.data]);
  return { ...pages, lines, behind: stay && held.view.nowMs !== current.nowMs };
}
