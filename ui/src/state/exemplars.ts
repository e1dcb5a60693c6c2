/** Exemplars of a query as marks of its chart, asked for only when they are wanted. */
import { useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { type Exemplar, queryExemplars } from '../api/exemplars';
import type { Mark } from '../chart/marks';
import { describeExemplar, thin } from '../lib/exemplars';
import { varyingLabels } from '../lib/series';
import { useAnswer } from './answers';
import type { CommonSearch } from './search';
import { pickCommon, useView } from './view';

export interface Exemplars {
  shown: Exemplar[];
  marks: Mark[];
  /** Before thinning. */
  total: number;
  error: Error | null;
  loading: boolean;
  /** What the node says about them. */
  infos: readonly string[];
  open: (index: number) => void;
}

export function useExemplars(expr: string, on: boolean): Exemplars {
  const { range, asker, nowMs, from, to } = useView();
  const navigate = useNavigate();
  const answer = useAnswer(
    ['exemplars', expr, asker, from, to, nowMs],
    (signal) => queryExemplars(expr, range, { ...asker, signal }),
    { enabled: on && expr.trim() !== '' },
  );
  const all = on ? answer.data?.data : undefined;
  const shown = useMemo(() => thin(all ?? [], range.fromMs / 1e3, range.toMs / 1e3), [all, range.fromMs, range.toMs]);
  const marks = useMemo(() => {
    const varying = varyingLabels(shown.map((one) => ({ labels: one.series })));
    return shown.map((one) => ({
      time: one.time,
      value: one.value,
      rows: describeExemplar(one, varying),
      hint: one.traceId ? 'Click opens the trace' : '',
    }));
  }, [shown]);
  const open = useCallback(
    (index: number) => {
      const id = shown[index]?.traceId;
      if (!id) return;
      const search = (before: CommonSearch) => pickCommon(before);
      void navigate({ to: '/trace/$id', params: { id }, search });
    },
    [shown, navigate],
  );
  return {
    shown,
    marks,
    total: all?.length ?? 0,
    error: on ? answer.error : null,
    loading: on && answer.isLoading,
    infos: on ? (answer.data?.infos ?? []) : [],
    open,
  };
}
