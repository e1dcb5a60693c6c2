/** What the logs page is about: the query behind the search line, its labels and columns, and filters added by a click. */
import type { UseQueryResult } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import type { Answer } from '../../api/http';
import { logLabels } from '../../api/loki';
import { fieldKey, originOf, readFieldKey } from '../../lib/fields';
import { addFilter, type Wanted, wantedOf } from '../../lib/logql';
import { everyStream, isLines, readSearch, type Search } from '../../lib/searchtext';
import { useAnswer } from '../../state/answers';
import { usePatch, useView } from '../../state/view';

export interface Logs {
  /** What is in the search line. */
  text: string;
  /** LogQL; empty while nothing can be asked. */
  query: string;
  written: Search['written'];
  isLines: boolean;
  /** A selector of every stream. */
  everything: string;
  labels: UseQueryResult<Answer<string[]>, Error>;
  streamLabels: ReadonlySet<string>;
  /** Keys of the fields shown before the line. */
  columns: readonly string[];
  wanted: Wanted;
  onFilter: (key: string, value: string, operator: '=' | '!=') => void;
  onColumn: (key: string) => void;
  setQuery: (query: string) => void;
}

/** More columns than this leave no room for the line. */
const MOST_COLUMNS = 8;
/** Until someone chooses, the label that tells senders apart. */
const SENDER = ['service_name', 'job', 'service', 'app', 'container', 'namespace', 'host'];

export function useLogs(): Logs {
  const search = useSearch({ from: '/logs' });
  const { asker, range, from, to } = useView();
  const patch = usePatch();
  const labels = useAnswer(['log labels', asker, from, to], (signal) => logLabels({ ...asker, signal }, range), {
    staleMs: 60_000,
  });
  const names = useMemo(
    () => [...(labels.data?.data ?? [])].filter((name) => !name.startsWith('__')).sort(),
    [labels.data],
  );
  const streamLabels = useMemo(() => new Set(names), [names]);
  const text = search.q ?? '';
  const everything = everyStream(names);
  const read = useMemo(() => readSearch(text, everything), [text, everything]);
  const columns = useMemo(() => columnsOf(search.cols, names), [search.cols, names]);
  const wanted = useMemo(() => wantedOf(read.query), [read.query]);
  const setQuery = useCallback((query: string) => patch({ q: query || undefined, line: undefined }), [patch]);
  const { query } = read;
  const onFilter = useCallback<Logs['onFilter']>(
    (key, value, operator) => {
      const { name } = readFieldKey(key);
      setQuery(addFilter(query, name, value, operator, originOf(key, streamLabels)));
    },
    [query, streamLabels, setQuery],
  );
  const onColumn = useCallback(
    (key: string) => {
      const next = columns.includes(key) ? columns.filter((one) => one !== key) : [...columns, key];
      patch({ cols: next.slice(-MOST_COLUMNS).join(',') || '-' }, 'replace');
    },
    [columns, patch],
  );
  return useMemo(
    () => ({
      text,
      query,
      written: read.written,
      isLines: isLines(read),
      everything,
      labels,
      streamLabels,
      columns,
      wanted,
      onFilter,
      onColumn,
      setQuery,
    }),
    [text, query, read, everything, labels, streamLabels, columns, wanted, onFilter, onColumn, setQuery],
  );
}

function columnsOf(text: string | undefined, names: readonly string[]): string[] {
  if (text === '-') return [];
  if (text !== undefined) return [...new Set(text.split(',').filter(Boolean))].slice(0, MOST_COLUMNS);
  const usual = SENDER.find((name) => names.includes(name));
  return usual === undefined ? [] : [fieldKey({ name: usual, origin: 'stream' })];
}

/** The range the lines lie in decides whether days are told. */
export function useWithDate(): boolean {
  const { range } = useView();
  return range.toMs - range.fromMs > 20 * 36e5;
}
