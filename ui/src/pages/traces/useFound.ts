/** The traces of the range, newest first, read slice by slice until there are as many as wanted. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import { searchTraces } from '../../api/tempo';
import { compareNs } from '../../api/loki';
import { type Area, areaQuery, areaText } from '../../lib/area';
import { type Found, joinFound } from '../../lib/found';
import { firstCursor, nextCursor, settledNs, shareDone, slicesOf } from '../../lib/slices';
import { useView } from '../../state/view';

/** Traces of one question. */
const PAGE = 100;

export interface FoundTraces {
  traces: readonly Found[];
  /** Of the range, how much has been searched: 0 to 1. */
  share: number;
  /** Searched back to here; milliseconds. */
  backToMs: number;
  isFetching: boolean;
  /** No answer yet to what is asked now. */
  isWaiting: boolean;
  hasMore: boolean;
  elapsedMs: number;
  inspectedTraces: number | undefined;
  error: Error | null;
  retry: () => void;
}

export function useFound(query: string, area: Area | null, wanted: number): FoundTraces {
  const { range, asker, nowMs, from, to } = useView();
  const areaKey = area ? areaText(area) : '';
  const slices = useMemo(() => {
    if (!area) return slicesOf(range);
    return slicesOf({ fromMs: Math.max(range.fromMs, area.fromMs), toMs: Math.min(range.toMs, area.toMs) });
    // The text names everything of the area.
  }, [areaKey, range.fromMs, range.toMs]);
  const text = area ? areaQuery(query, area) : query;
  const subject = JSON.stringify([text, areaKey, asker]);
  const pages = useInfiniteQuery({
    queryKey: ['found', subject, from, to, nowMs],
    queryFn: async ({ pageParam: asked, signal }) => {
      const startS = slices[asked.slice]?.startS ?? 0;
      const answer = await searchTraces(text, startS, asked.endS, asked.limit, { ...asker, signal });
      return { ...answer, asked, slices, subject };
    },
    initialPageParam: firstCursor(slices, PAGE),
    getNextPageParam: (page) => nextCursor(page.slices, page.asked, page.data.traces, PAGE),
    placeholderData: keepPreviousData,
  });
  // An answer is kept over a refresh, never over a change of subject.
  const own = pages.data?.pages[0]?.subject === subject ? pages.data.pages : undefined;
  const isHeld = pages.isPlaceholderData;
  const joined = useMemo(() => joinFound((own ?? []).map((page) => page.data.traces)), [own]);
  const last = own?.[own.length - 1];
  const next = last ? nextCursor(last.slices, last.asked, last.data.traces, PAGE) : undefined;
  const edge = last ? settledNs(last.slices, last.asked, last.data.traces, next === undefined) : '0';
  const traces = useMemo(() => joined.filter((one) => compareNs(one.startNs, edge) >= 0), [joined, edge]);
  const { fetchNextPage, hasNextPage, isFetching } = pages;
  const isWanted = traces.length < wanted && !isHeld && !pages.error;
  useEffect(() => {
    if (isWanted && hasNextPage && !isFetching) void fetchNextPage();
  }, [isWanted, hasNextPage, isFetching, fetchNextPage]);
  return {
    traces: traces.length > wanted ? traces.slice(0, wanted) : traces,
    share: last ? shareDone(last.slices, next) : 0,
    backToMs: next ? next.endS * 1e3 : (last?.slices[last.slices.length - 1]?.startS ?? 0) * 1e3,
    isFetching,
    isWaiting: own === undefined && !pages.error,
    hasMore: hasNextPage || traces.length > wanted,
    elapsedMs: (own ?? []).reduce((sum, page) => sum + page.elapsedMs, 0),
    inspectedTraces: sumKnown((own ?? []).map((page) => page.data.inspectedTraces)),
    error: pages.error,
    retry: () => void (own ? fetchNextPage() : pages.refetch()),
  };
}

function sumKnown(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) : undefined;
}
