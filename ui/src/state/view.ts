/** Hooks over the part of the URL that every page shares: range, zone, refresh, tenant, scope. */
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import type { Asker } from '../api/http';
import { parseScope, type Scope } from '../lib/scope';
import { isRelative, type Range, resolveRange, shift, type Zone, zoomOut } from '../lib/time';
import { advanceNow, useNow } from './now';
import { type CommonSearch, DEFAULT_FROM, DEFAULT_TO } from './search';

export interface View {
  from: string;
  to: string;
  zone: Zone;
  tenant: string;
  scope: Scope;
  /** Tenant and scope, the part of every question that the bar decides; stable while neither changes. */
  asker: Asker;
  refresh: string;
  nowMs: number;
  range: Range;
  /** Relative at either end: what the view shows moves with time. */
  moving: boolean;
}

export function useView(): View {
  const search: CommonSearch = useSearch({ strict: false });
  const nowMs = useNow();
  const from = search.from ?? DEFAULT_FROM;
  const to = search.to ?? DEFAULT_TO;
  const zone: Zone = search.tz === 'utc' ? 'utc' : 'browser';
  const range = useMemo(
    () => resolveRange(from, to, nowMs, zone) ?? { fromMs: nowMs - 36e5, toMs: nowMs },
    [from, to, nowMs, zone],
  );
  const tenant = search.tenant ?? '';
  // A text of the scope: the address gives a new list for the same pairs with every change of anything.
  const pairs = JSON.stringify(search.scope ?? []);
  const dedup = search.dedup !== 'false';
  const deny = search.partial === 'deny';
  const asker = useMemo<Asker>(
    () => ({ tenant, scope: { labels: parseScope(JSON.parse(pairs) as string[]), dedup, deny } }),
    [tenant, pairs, dedup, deny],
  );
  return {
    from,
    to,
    zone,
    nowMs,
    range,
    tenant,
    scope: asker.scope,
    asker,
    refresh: search.refresh ?? '',
    moving: isRelative(from) || isRelative(to),
  };
}

/** The shared part alone, for links to other pages: the range travels, the queries stay. */
export function pickCommon(search: CommonSearch): CommonSearch {
  const { from, to, refresh, tenant, tz, scope, dedup, partial } = search;
  return { from, to, refresh, tenant, tz, scope, dedup, partial };
}

type Patch = Record<string, unknown>;

/**
 * Changes the search of the current page. `push` leaves a step for the back button: use it for what a user would
 * want to undo (a zoom, a run, an opened span), `replace` for everything that follows typing or scrolling.
 */
export function usePatch(): (patch: Patch, how?: 'push' | 'replace') => void {
  const navigate = useNavigate();
  return useCallback(
    (patch, how = 'push') => {
      const search = ((before: Record<string, unknown>) => ({ ...before, ...patch })) as never;
      void navigate({ to: '.', search, replace: how === 'replace', resetScroll: false } as never);
    },
    [navigate],
  );
}

export function useSetRange(): (range: Range | { from: string; to: string }) => void {
  const patch = usePatch();
  return useCallback(
    (range) => {
      const texts =
        'from' in range ? range : { from: String(Math.round(range.fromMs)), to: String(Math.round(range.toMs)) };
      advanceNow();
      patch({
        from: texts.from === DEFAULT_FROM ? undefined : texts.from,
        to: texts.to === DEFAULT_TO ? undefined : texts.to,
      });
    },
    [patch],
  );
}

export function useRangeMoves() {
  const { range, nowMs } = useView();
  const setRange = useSetRange();
  return useMemo(
    () => ({
      out: () => setRange(zoomOut(range, nowMs)),
      back: () => setRange(shift(range, -1)),
      forward: () => setRange(shift(range, 1)),
    }),
    [range, nowMs, setRange],
  );
}
