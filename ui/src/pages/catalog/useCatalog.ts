/** The catalogue's data: names under a label filter, types, series counts. */
import { useMemo } from 'react';
import { labelValues, metadata, queryInstant } from '../../api/prom';
import { MOST_LISTED, tsdbStatus } from '../../api/tsdb';
import { buildCatalog, type Entry } from '../../lib/catalog';
import { selector } from '../../lib/promtext';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';

export interface Catalog {
  entries: Entry[];
  /** Series names behind the entries. */
  names: number;
  loading: boolean;
  error: Error | null;
  retry: () => void;
  /** Series of an entry now; null where nobody has counted them. */
  countOf: (entry: Entry) => number | null;
  counted: boolean;
}

export function useCatalog(label: string | undefined): Catalog {
  const { asker, range, from, to } = useView();
  const match = labelMatcher(label);
  const names = useAnswer(
    ['metric names', asker, from, to, match],
    (signal) => labelValues('__name__', { ...asker, signal }, range, match),
    { staleMs: 60_000 },
  );
  const types = useAnswer(['metadata', asker], (signal) => metadata({ ...asker, signal }), { staleMs: 300_000 });
  const counts = useSeriesCounts();
  const known = names.data?.data;
  const meta = types.data?.data;
  const loading = known === undefined || (meta === undefined && !types.error);
  // Types decide how names fold into families: until they are here the list would jump.
  const entries = useMemo(() => (loading ? [] : buildCatalog(known, meta ?? {})), [loading, known, meta]);
  const countOf = useMemo(() => {
    const byName = counts;
    return (entry: Entry) => {
      const parts = entry.names.flatMap((name) => byName?.get(name) ?? []);
      return parts.length > 0 ? parts.reduce((sum, one) => sum + one, 0) : null;
    };
  }, [counts]);
  return {
    entries,
    names: known?.length ?? 0,
    loading: loading && !names.error,
    error: names.error ?? types.error,
    retry: () => {
      void names.refetch();
      void types.refetch();
    },
    countOf,
    counted: counts !== null,
  };
}

/** From the store's own account, else by one count over everything at the end of the range. */
function useSeriesCounts(): ReadonlyMap<string, number> | null {
  const { asker, scope, range, from, to, nowMs } = useView();
  // The store's own account is of everything it has: a narrower view has to count.
  const whole = scope.labels.length === 0;
  const status = useAnswer(['tsdb', MOST_LISTED, asker], (signal) => tsdbStatus(MOST_LISTED, { ...asker, signal }), {
    staleMs: 60_000,
    enabled: whole,
  });
  const missing = !whole || (status.data !== undefined && status.data.data === null);
  const counts = useAnswer(
    ['series counts', asker, from, to, nowMs],
    (signal) => queryInstant('count by (__name__) ({__name__!=""})', range.toMs, { ...asker, signal }),
    { enabled: missing },
  );
  return useMemo(() => {
    const listed = whole ? status.data?.data : undefined;
    if (listed) return new Map(listed.seriesByMetric.map((one) => [one.name, one.count]));
    const series = counts.data?.data.series;
    return series ? new Map(series.map((one) => [one.labels.__name__ ?? '', one.values[0] ?? 0])) : null;
  }, [whole, status.data, counts.data]);
}

/** `name` asks for metrics that have the label, `name=value` for those with this value. */
export function labelMatcher(text: string | undefined): string | undefined {
  if (!text) return undefined;
  const at = text.indexOf('=');
  const name = (at < 0 ? text : text.slice(0, at)).trim();
  if (name === '') return undefined;
  return at < 0
    ? selector('', [{ name, op: '!=', value: '' }, ANY])
    : selector('', [{ name, op: '=', value: text.slice(at + 1) }]);
}

const ANY = { name: '__name__', op: '!=', value: '' } as const;
