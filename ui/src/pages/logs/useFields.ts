/** The fields of what the query finds, from the node where it knows them, and from the lines that are here. */
import { useMemo } from 'react';
import { detectedFields, detectedLabels } from '../../api/logfields';
import { logLabels, type LogLine } from '../../api/loki';
import { countFields, type Field, listFields } from '../../lib/fields';
import { selectorOf } from '../../lib/logql';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';
import type { Logs } from './useLogs';

export interface Fields {
  list: readonly Field[];
  /** What the lines that are here say, by key. */
  counted: ReturnType<typeof countFields>;
  lines: number;
  /** The node tells of fields itself, over the whole range. */
  told: boolean;
}

export function useFields(logs: Logs, lines: readonly LogLine[]): Fields {
  const { asker, range, from, to, nowMs } = useView();
  const { query, streamLabels } = logs;
  const streams = selectorOf(query);
  const enabled = query !== '';
  const names = useAnswer(
    ['labels of streams', streams, asker, from, to],
    (signal) => logLabels({ ...asker, signal }, range, streams),
    { enabled, staleMs: 60_000 },
  );
  const counts = useAnswer(
    ['detected labels', streams, asker, from, to],
    (signal) => detectedLabels(streams, { ...asker, signal }, range),
    { enabled, staleMs: 60_000 },
  );
  const detected = useAnswer(
    ['detected fields', query, asker, from, to, nowMs],
    (signal) => detectedFields(query, { ...asker, signal }, range),
    { enabled },
  );
  const counted = useMemo(() => countFields(lines, streamLabels), [lines, streamLabels]);
  const list = useMemo(
    () =>
      listFields({
        streamLabels: (names.data?.data ?? [...streamLabels]).filter((name) => !name.startsWith('__')),
        labelCounts: counts.data?.data ?? null,
        detected: detected.data?.data ?? null,
        counted,
      }),
    [names.data, streamLabels, counts.data, detected.data, counted],
  );
  return useMemo(
    () => ({ list, counted, lines: lines.length, told: Boolean(detected.data?.data) }),
    [list, counted, lines.length, detected.data],
  );
}
