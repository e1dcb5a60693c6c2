/** What the cardinality page counts: the store's own account for everything, label sets for a narrower scope. */
import { useMemo } from 'react';
import { findSeries } from '../../api/prom';
import { type TsdbStatus, tsdbStatus } from '../../api/tsdb';
import { type Analysis, analyse, scopeSelector } from '../../lib/cardinality';
import { parseSelector } from '../../lib/promtext';
import type { Labels } from '../../api/prom';
import { useAnswer, useAnswerAbout } from '../../state/answers';
import { useView } from '../../state/view';

export interface Cardinality {
  /** Null while nothing is narrowed down. */
  scope: ReturnType<typeof parseSelector>;
  /** What the series of the scope are asked for with. */
  text: string;
  sets: readonly Labels[] | undefined;
  found: Analysis | undefined;
  /** As many as were asked for came: there may be more. */
  truncated: boolean;
  /** The store's account of everything; null where it keeps none or where the scope is narrower. */
  status: TsdbStatus | null;
  loading: boolean;
  error: Error | null;
  retry: () => void;
}

/** Label sets read unless more are asked for: a second of counting, a few megabytes of answer. */
export const DEFAULT_LIMIT = 10_000;
/** Entries of each list asked for. */
export const LISTED = 100;

export function useCardinality(match: string | undefined, limit: number): Cardinality {
  const { asker, scope: viewed, range, from, to, nowMs } = useView();
  const scope = useMemo(() => (match ? parseSelector(match) : null), [match]);
  const text = scopeSelector(scope);
  // The store's own account is of everything it has: a narrower view has to count.
  const whole = scope === null && viewed.labels.length === 0;
  const status = useAnswer(['tsdb', LISTED, asker], (signal) => tsdbStatus(LISTED, { ...asker, signal }), {
    enabled: whole,
    staleMs: 30_000,
  });
  const series = useAnswerAbout(text, ['cardinality', limit, asker, from, to, nowMs], (signal) =>
    // One more than is counted tells whether the scope was cut.
    findSeries(text, limit + 1, { ...asker, signal }, range),
  );
  const read = series.own?.data;
  const sets = useMemo(() => read?.slice(0, limit), [read, limit]);
  const found = useMemo(() => (sets ? analyse(sets) : undefined), [sets]);
  return {
    scope,
    text,
    sets,
    found,
    truncated: (read?.length ?? 0) > limit,
    status: whole ? (status.data?.data ?? null) : null,
    loading: series.isFetching,
    error: series.error ?? (whole ? status.error : null),
    retry: () => {
      series.refetch();
      if (whole) void status.refetch();
    },
  };
}
