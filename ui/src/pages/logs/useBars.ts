/** The bars of the histogram: lines per step over the whole range, by level, by a field, or all together. */
import { useMemo } from 'react';
import type { Coverage } from '../../api/coverage';
import { queryLogInstant, queryLogMetric } from '../../api/loki';
import { originOf, readFieldKey } from '../../lib/fields';
import { shapeHistogram } from '../../lib/histogram';
import { addFilter, addOneOf, countAll, countByLevel, countOneOf, topValues } from '../../lib/logql';
import type { Columns } from '../../lib/series';
import { shapeSplit, SPLIT_VALUES } from '../../lib/splits';
import { niceStep, promDuration } from '../../lib/steps';
import { useAnswer, useAnswerAbout } from '../../state/answers';
import { useView } from '../../state/view';
import type { Logs } from './useLogs';

export interface Bar {
  name: string;
  colour: string;
  total: number;
  /** The query with this bar's lines only; null where nothing says which they are. */
  only: string | null;
}

export interface Bars {
  columns: Columns;
  bars: readonly Bar[];
  total: number;
  step: number;
  title: string;
  coverage: Coverage[] | undefined;
  error: Error | null;
  loading: boolean;
}

/** Not split at all. */
export const WHOLE = '-';
const BARS = 90;

export function useBars(logs: Logs, split: string | undefined): Bars {
  const { range } = useView();
  const step = niceStep(range.toMs - range.fromMs, BARS);
  const byLevel = useLevels(logs, step, split === undefined);
  const byField = useSplit(logs, step, split === undefined ? WHOLE : split, split !== undefined);
  return split === undefined ? byLevel : byField;
}

/** A bar counts the step before its instant: from the end of the first bar to the end of the last. */
function windowOf(range: { fromMs: number; toMs: number }, step: number) {
  const stepMs = step * 1e3;
  return {
    fromMs: (Math.floor(range.fromMs / stepMs) + 1) * stepMs,
    toMs: Math.ceil(range.toMs / stepMs) * stepMs,
  };
}

function useLevels({ query }: Logs, step: number, enabled: boolean): Bars {
  const { range, asker, nowMs, from, to } = useView();
  const answer = useAnswer(
    ['histogram', query, asker, from, to, nowMs, step],
    (signal) =>
      queryLogMetric(countByLevel(query, promDuration(step)), windowOf(range, step), step, { ...asker, signal }),
    { enabled },
  );
  return useMemo(() => {
    const { columns, levels, total } = shapeHistogram(answer.data?.data.series ?? [], step);
    return {
      columns,
      bars: levels.map(({ level, total: sum, filter }) => ({
        name: level,
        colour: `var(--level-${level})`,
        total: sum,
        only: filter ? addOneOf(query, filter.label, filter.values) : null,
      })),
      total,
      step,
      title: `Lines per ${promDuration(step)} by level`,
      coverage: answer.data?.coverage,
      error: answer.error,
      loading: !answer.data,
    };
  }, [answer.data, answer.error, query, step]);
}

/**
 * The most frequent values are looked for first, then only these are counted over time: a field with a million values
 * would make a million series. What is left of all lines is the rest.
 */
function useSplit(logs: Logs, step: number, split: string, enabled: boolean): Bars {
  const { range, asker, nowMs, from, to } = useView();
  const { query } = logs;
  const isSplit = split !== WHOLE;
  const { name } = readFieldKey(split);
  const origin = originOf(split, logs.streamLabels);
  const top = topValues(query, name, origin, promDuration((range.toMs - range.fromMs) / 1e3), SPLIT_VALUES);
  const subject = `${query}\u0000${split}`;
  const found = useAnswerAbout(
    subject,
    ['top values of bars', top, asker, from, to, nowMs],
    (signal) => queryLogInstant(top, range.toMs, { ...asker, signal }),
    { enabled: enabled && isSplit },
  );
  const values = useMemo(() => (found.own?.data.series ?? []).map((one) => one.labels[name] ?? ''), [found.own, name]);
  const known = values.length > 0;
  const parts = useAnswerAbout(
    subject,
    ['histogram', query, split, values, asker, from, to, nowMs, step],
    (signal) =>
      queryLogMetric(countOneOf(query, name, values, origin, promDuration(step)), windowOf(range, step), step, {
        ...asker,
        signal,
      }),
    { enabled: enabled && isSplit && known },
  );
  const whole = useAnswer(
    ['histogram', query, WHOLE, asker, from, to, nowMs, step],
    (signal) => queryLogMetric(countAll(query, promDuration(step)), windowOf(range, step), step, { ...asker, signal }),
    { enabled },
  );
  return useMemo(() => {
    const error = whole.error ?? found.error ?? parts.error;
    const counted = isSplit && !found.error && !parts.error ? (parts.own?.data.series ?? []) : [];
    const shaped = shapeSplit(name, counted, whole.data?.data.series ?? [], step);
    return {
      columns: shaped.columns,
      bars: shaped.bars.map(({ name: text, value, colour, total }) => ({
        name: isSplit ? text : 'lines',
        colour: isSplit ? colour : 'var(--series-0)',
        total,
        only: isSplit && value !== null ? addFilter(query, name, value, '=', origin) : null,
      })),
      total: shaped.total,
      step,
      title: `Lines per ${promDuration(step)}${isSplit ? ` by ${name}` : ''}`,
      coverage: whole.data?.coverage,
      error,
      loading: !whole.data || (isSplit && known && !parts.own && !error),
    };
  }, [whole.data, whole.error, found.error, parts.own, parts.error, isSplit, known, name, origin, query, step]);
}
