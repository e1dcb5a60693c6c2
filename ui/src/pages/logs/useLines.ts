/** Lines newest first, page by page towards the past. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { msToNs, queryLines } from '../../api/loki';
import { joinPages, nextEnd } from '../../lib/loglines';
import { useView } from '../../state/view';

/** One screen is about 40 lines: five of them at once keep scrolling ahead of the network. */
const PAGE = 200;
/** Lines held by a tab. Whoever scrolls this far wants a narrower query, and the page says so. */
export const MOST_LINES = 20_000;

/**
 * While someone is reading further down (`reading`), an automatic refresh must not pull the lines away: the list stays on
 * the window it was opened with until they come back to the top. Another query or range is another list and moves at once.
 */
export function useLines(query: string, reading: boolean) {
  const current = useView();
  const list = JSON.stringify([query, current.asker, current.from, current.to]);
  const [held, setHeld] = useState({ list, view: current });
  const stay = reading && held.list === list;
  if (!stay && held.view !== current && (held.list !== list || held.view.nowMs !== current.nowMs)) {
    setHeld({ list, view: current });
  }
  const { range, asker, nowMs, from, to } = stay ? held.view : current;
  const startNs = msToNs(range.fromMs);
  const pages = useInfiniteQuery({
    queryKey: ['lines', query, asker, from, to, nowMs],
    queryFn: ({ pageParam, signal }) => queryLines(query, startNs, pageParam, PAGE, { ...asker, signal }),
    initialPageParam: msToNs(range.toMs),
    getNextPageParam: (page, all, end) => (all.length * PAGE >= MOST_LINES ? undefined : nextEnd(page.data, PAGE, end)),
    placeholderData: keepPreviousData,
  });
  const lines = useMemo(() => joinPages((pages.data?.pages ?? []).map((page) => page.data)), [pages.data]);
  return { ...pages, lines, behind: stay && held.view.nowMs !== current.nowMs };
}
