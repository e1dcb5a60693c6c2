/** Makes the files. All of a range is read page by page, so that it can be watched and stopped, and a part is still a file. */
import { useCallback, useEffect, useRef, useState } from 'react';
import { type LogLine, msToNs, queryLines } from '../../api/loki';
import { linesToCsv, linesToJson } from '../../lib/loglist';
import { joinPages, nextEdge, type Order } from '../../lib/loglines';
import { formatCount } from '../../lib/units';
import { useView } from '../../state/view';
import type { Logs } from './useLogs';

export type Format = 'csv' | 'json';

export type State =
  { kind: 'idle' } | { kind: 'running'; lines: number; share: number } | { kind: 'done' | 'failed'; text: string };

export const MOST_SAVED = 100_000;
const PAGE = 5000;
/** Characters of a file: a tab that holds more is closed by its browser. */
const MOST_CHARS = 300_000_000;

export function useDownload(logs: Logs, order: Order) {
  const { asker, range } = useView();
  const [state, setState] = useState<State>({ kind: 'idle' });
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const { query, columns } = logs;
  const write = useCallback(
    (lines: readonly LogLine[], format: Format, first: boolean) =>
      format === 'csv' ? linesToCsv(lines, columns, first) : linesToJson(lines),
    [columns],
  );
  const saveShown = (lines: readonly LogLine[], format: Format) => save([write(lines, format, true)], format);
  const saveAll = async (format: Format) => {
    const control = new AbortController();
    running.current?.abort();
    running.current = control;
    const parts: string[] = [];
    let count = 0;
    let chars = 0;
    let ended = '';
    const width = Math.max(1, range.toMs - range.fromMs);
    setState({ kind: 'running', lines: 0, share: 0 });
    const [startNs, endNs] = [msToNs(range.fromMs), msToNs(range.toMs)];
    let edge: string | undefined = order === 'newest' ? endNs : startNs;
    let before: LogLine[] = [];
    try {
      while (edge !== undefined) {
        const [from, to]: [string, string] = order === 'newest' ? [startNs, edge] : [edge, endNs];
        const answer = await queryLines(query, from, to, PAGE, { ...asker, signal: control.signal }, order);
        const missing = answer.coverage.filter((row) => row.state !== 'complete').map((row) => row.cluster);
        if (missing.length > 0) ended = `not whole: ${[...new Set(missing)].join(', ')}`;
        // Only the instant that two pages share must be compared.
        const fresh = joinPages([before, answer.data])
          .slice(before.length)
          .slice(0, MOST_SAVED - count);
        if (fresh.length > 0) parts.push(write(fresh, format, parts.length === 0));
        count += fresh.length;
        chars += parts[parts.length - 1]?.length ?? 0;
        const last = answer.data[answer.data.length - 1];
        edge = nextEdge(answer.data, PAGE, edge, order);
        before = last ? answer.data.filter((line) => line.ns === last.ns) : [];
        const gone = last ? (order === 'newest' ? range.toMs - last.ms : last.ms - range.fromMs) / width : 1;
        setState({ kind: 'running', lines: count, share: Math.max(gone, count / MOST_SAVED) });
        if (edge !== undefined && (count >= MOST_SAVED || chars >= MOST_CHARS)) {
          ended = `stopped at ${formatCount(count)}, there are more`;
          break;
        }
      }
      save(parts, format);
      setState({ kind: 'done', text: `${formatCount(count)} lines saved${ended ? `; ${ended}` : ''}` });
    } catch (error) {
      if (control.signal.aborted) setState({ kind: 'idle' });
      else setState({ kind: 'failed', text: error instanceof Error ? error.message : String(error) });
    }
  };
  return {
    state,
    saveShown,
    saveAll,
    cancel: () => running.current?.abort(),
    dismiss: () => setState({ kind: 'idle' }),
  };
}

function save(parts: readonly string[], format: Format): void {
  const body = format === 'csv' ? [parts.join('\r\n')] : ['[', parts.filter((part) => part !== '').join(',\n'), ']\n'];
  const type = format === 'csv' ? 'text/csv;charset=utf-8' : 'application/json';
  const url = URL.createObjectURL(new Blob(body, { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `logs.${format}`;
  link.click();
  URL.revokeObjectURL(url);
}
