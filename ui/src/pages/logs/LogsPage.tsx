/** Logs explorer: a LogQL query, fields on the left, the histogram of the whole range above the lines. */
import { useSearch } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { logLabels, queryLogMetric } from '../../api/loki';
import { Graph } from '../../chart/Graph';
import { QueryField } from '../../editor/QueryField';
import { countFields } from '../../lib/loglines';
import { addFilter, isLogQuery, searchedTexts } from '../../lib/logql';
import { niceStep } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useAnswer } from '../../state/answers';
import { advanceNow } from '../../state/now';
import { usePatch, useView } from '../../state/view';
import { FieldSidebar } from './FieldSidebar';
import { Histogram } from './Histogram';
import { LineList } from './LineList';
import { MOST_LINES, useLines } from './useLines';
import './logs.css';

/** Labels that most senders set; the first that exists makes the query that shows everything. */
const USUAL = ['service_name', 'job', 'service', 'app', 'container', 'namespace', 'host'];

export default function LogsPage() {
  const search = useSearch({ from: '/logs' });
  const { asker, range, from, to } = useView();
  const patch = usePatch();
  const labels = useAnswer(['log labels', asker, from, to], (signal) => logLabels({ ...asker, signal }, range), {
    staleMs: 60_000,
  });
  const streamLabels = useMemo(
    () => [...(labels.data?.data ?? [])].filter((name) => !name.startsWith('__')).sort(),
    [labels.data],
  );
  const query = search.q ?? everything(streamLabels);
  const draft = useRef(query);
  useEffect(() => {
    draft.current = query;
  }, [query]);
  const run = () => {
    const text = draft.current.trim();
    advanceNow();
    if (text !== query) patch({ q: text || undefined, line: undefined });
  };
  const filter = useCallback(
    (label: string, value: string, operator: '=' | '!=', isStream: boolean) =>
      patch({ q: addFilter(query, label, value, operator, isStream), line: undefined }),
    [query, patch],
  );
  const lines = isLogQuery(query);
  return (
    <div className="page logsPage">
      <div className="row" data-query-target="">
        <QueryField
          language="logql"
          label="LogQL query"
          hint='LogQL, for example: {service_name="checkout"} |= "timeout"'
          value={query}
          onRun={run}
          onDraft={(text) => {
            draft.current = text;
          }}
        />
        <button type="button" className="btn primary logsRun" onClick={run} title="Run (Enter)">
          Run
        </button>
        <button
          type="button"
          className="btn logsRun"
          aria-pressed={search.wrap === 'on'}
          onClick={() => patch({ wrap: search.wrap === 'on' ? undefined : 'on' }, 'replace')}
        >
          Wrap
        </button>
      </div>
      {labels.error ? <Problem error={labels.error} onRetry={() => void labels.refetch()} /> : null}
      {query === '' ? (
        labels.isLoading ? null : (
          <NoLogs />
        )
      ) : lines ? (
        <Lines query={query} streamLabels={streamLabels} onFilter={filter} />
      ) : (
        <MetricOverLogs query={query} />
      )}
    </div>
  );
}

function everything(labels: readonly string[]): string {
  const label = USUAL.find((name) => labels.includes(name)) ?? labels[0];
  return label === undefined ? '' : `{${label}=~".+"}`;
}

interface LinesProps {
  query: string;
  streamLabels: readonly string[];
  onFilter: (label: string, value: string, operator: '=' | '!=', isStream: boolean) => void;
}

function Lines({ query, streamLabels, onFilter }: LinesProps) {
  const search = useSearch({ from: '/logs' });
  const { zone, range } = useView();
  const patch = usePatch();
  const [scrolled, setScrolled] = useState(false);
  const found = useLines(query, scrolled || search.line !== undefined);
  const { lines, fetchNextPage } = found;
  const fields = useMemo(() => countFields(lines), [lines]);
  const streams = useMemo(() => new Set(streamLabels), [streamLabels]);
  const marked = useMemo(() => searchedTexts(query), [query]);
  const columns = useMemo(() => columnsOf(search.cols, streamLabels), [search.cols, streamLabels]);
  const onColumn = (name: string) => {
    const next = columns.includes(name) ? columns.filter((one) => one !== name) : [...columns, name];
    patch({ cols: next.join(',') || '-' }, 'replace');
  };
  const onMore = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  const onOpen = useCallback((line: string | undefined) => patch({ line }), [patch]);
  const ended =
    lines.length >= MOST_LINES
      ? `The newest ${formatCount(MOST_LINES)} lines are here. Narrow the query or the range for older ones.`
      : 'No older lines in this range.';
  return (
    <div className="logsBody">
      <FieldSidebar
        query={query}
        streamLabels={streamLabels}
        fields={fields}
        loaded={lines.length}
        open={search.field}
        columns={columns}
        onColumn={onColumn}
        onOpen={(field) => patch({ field }, 'replace')}
        onFilter={onFilter}
      />
      <div className="logsMain">
        <Histogram query={query} shown={search.hist} loaded={lines.length} />
        {found.error ? <Problem error={found.error} query={query} onRetry={() => void found.refetch()} /> : null}
        <div className="panel linesPanel">
          {lines.length === 0 && !found.isFetching && !found.error ? (
            <div className="empty">
              <h2>No lines match in this range</h2>
              <p>Widen the range (t −), remove a filter, or open a field on the left to see which values exist.</p>
            </div>
          ) : (
            <LineList
              lines={lines}
              zone={zone}
              withDate={range.toMs - range.fromMs > 20 * 36e5}
              wrap={search.wrap === 'on'}
              columns={columns}
              open={search.line}
              marked={marked}
              streamLabels={streams}
              more={found.hasNextPage}
              loadingMore={found.isFetchingNextPage}
              end={lines.length === 0 ? '' : ended}
              behind={found.behind}
              onScrolled={setScrolled}
              onMore={onMore}
              onOpen={onOpen}
              onFilter={onFilter}
            />
          )}
        </div>
      </div>
    </div>
  );
}

/** More columns than this leave no room for the line. */
const MOST_COLUMNS = 6;

/** Until someone chooses, the label that tells senders apart. */
function columnsOf(text: string | undefined, streamLabels: readonly string[]): string[] {
  if (text === '-') return [];
  if (text !== undefined) return text.split(',').filter(Boolean).slice(0, MOST_COLUMNS);
  const usual = USUAL.find((name) => streamLabels.includes(name));
  return usual === undefined ? [] : [usual];
}

function MetricOverLogs({ query }: { query: string }) {
  const search = useSearch({ from: '/logs' });
  const { range, asker, nowMs, from, to } = useView();
  const patch = usePatch();
  const step = niceStep(range.toMs - range.fromMs, 240);
  const answer = useAnswer(['log metric', query, asker, from, to, nowMs], (signal) =>
    queryLogMetric(query, range, step, { ...asker, signal }),
  );
  const series = answer.data?.data.series ?? [];
  return (
    <section className="panel logMetric" aria-label="Metric over log lines">
      {answer.error ? <Problem error={answer.error} query={query} onRetry={() => void answer.refetch()} /> : null}
      {answer.data && !answer.error && series.length === 0 ? (
        <div className="empty">
          <p>No series in this range.</p>
        </div>
      ) : null}
      {series.length > 0 && !answer.error ? (
        <Graph
          expr={query}
          series={series}
          step={step}
          coverage={answer.data?.coverage}
          cap={search.cap ?? 50}
          values={search.hist === 'table'}
          solo={search.solo}
          onSolo={(solo) => patch({ solo })}
          onCap={(cap) => patch({ cap: cap === 50 ? undefined : cap })}
        />
      ) : null}
      <div className="row valueTableHead">
        <button
          type="button"
          className="btn quiet"
          aria-pressed={search.hist === 'table'}
          onClick={() => patch({ hist: search.hist === 'table' ? undefined : 'table' })}
        >
          Values
        </button>
      </div>
    </section>
  );
}

function NoLogs() {
  return (
    <div className="empty">
      <h2>No logs in this range</h2>
      <p>
        Send some as OTLP to <code>/v1/logs</code> or in Loki&apos;s format to <code>/loki/api/v1/push</code>, or widen
        the range.
      </p>
    </div>
  );
}
