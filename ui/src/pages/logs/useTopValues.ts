/** The most frequent values of one field: over the whole range where the node can count them, else of the lines here. */
import { useMemo } from 'react';
import { queryLogInstant } from '../../api/loki';
import { isFieldName, originOf, rankValues, readFieldKey } from '../../lib/fields';
import { countAll, topValues } from '../../lib/logql';
import { promDuration } from '../../lib/steps';
import { useAnswer, useAnswerAbout } from '../../state/answers';
import { useView } from '../../state/view';
import type { Fields } from './useFields';
import type { Logs } from './useLogs';

export interface TopValue {
  value: string;
  count: number;
  /** Of all lines that were counted, from 0 to 1. */
  share: number;
}

export interface TopValues {
  values: readonly TopValue[];
  /** What was counted, for a person. */
  note: string;
}

export const TOP = 12;

export function useTopValues(logs: Logs, fields: Fields, key: string | undefined): TopValues {
  const { range, asker, nowMs, from, to } = useView();
  const window = promDuration((range.toMs - range.fromMs) / 1e3);
  const { name } = readFieldKey(key ?? '');
  const writable = isFieldName(name);
  const enabled = key !== undefined && writable && logs.query !== '' && logs.isLines;
  const expr = topValues(logs.query, name, originOf(key ?? '', logs.streamLabels), window, TOP);
  const counts = useAnswerAbout(
    `${logs.query}\u0000${key ?? ''}`,
    ['top values', expr, asker, from, to, nowMs],
    (signal) => queryLogInstant(expr, range.toMs, { ...asker, signal }),
    { enabled },
  );
  const all = useAnswer(
    ['log count', logs.query, asker, from, to, nowMs],
    (signal) => queryLogInstant(countAll(logs.query, window), range.toMs, { ...asker, signal }),
    { enabled },
  );
  const here = key === undefined ? undefined : fields.counted.get(key);
  return useMemo(() => {
    if (key === undefined) return { values: [], note: '' };
    if (counts.error || !writable) {
      const total = fields.lines;
      const values = here ? rankValues(here.values, TOP) : [];
      const shares = values.map((one) => ({ ...one, share: total > 0 ? one.count / total : 0 }));
      return { values: shares, note: `the loaded lines: ${counts.error?.message ?? 'no query can name it'}` };
    }
    if (!counts.own) return { values: [], note: 'counting…' };
    const found = counts.own.data.series
      .map((one) => ({ value: one.labels[name] ?? '', count: one.values[0] ?? 0 }))
      .sort((a, b) => b.count - a.count);
    const told = all.data?.data.series.reduce((sum, one) => sum + (one.values[0] ?? 0), 0) ?? 0;
    const total = Math.max(told, found.reduce((sum, one) => sum + one.count, 0), 1); // prettier-ignore
    const values = found.map((one) => ({ ...one, share: one.count / total }));
    return { values, note: found.length === 0 ? 'no line of the range carries it' : 'the whole range' };
  }, [key, name, writable, here, fields.lines, counts.own, counts.error, all.data]);
}
