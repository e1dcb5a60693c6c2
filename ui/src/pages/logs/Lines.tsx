/** The lines of the range: fields on the left, the histogram of all of them above those that are loaded. */
import { useSearch } from '@tanstack/react-router';
import { useCallback, useState } from 'react';
import { adviceOn } from '../../lib/advice';
import { lineKey } from '../../lib/loglines';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { usePatch } from '../../state/view';
import { Download } from './Download';
import { FieldSidebar } from './FieldSidebar';
import { Histogram } from './Histogram';
import { LineList } from './LineList';
import { ListHead } from './ListHead';
import { NoLines } from './NoLines';
import { Pinned } from './Pinned';
import { useFields } from './useFields';
import { MOST_LINES, useLines } from './useLines';
import type { Logs } from './useLogs';

export function Lines({ logs }: { logs: Logs }) {
  const search = useSearch({ from: '/logs' });
  const patch = usePatch();
  const order = search.order ?? 'newest';
  const [scrolled, setScrolled] = useState(false);
  const [edge, setEdge] = useState(0);
  const found = useLines(logs.query, order, scrolled || search.line !== undefined);
  const { lines, fetchNextPage } = found;
  const fields = useFields(logs, lines);
  const onMore = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  const onOpen = useCallback((line: string | undefined) => patch({ line, around: undefined }), [patch]);
  const toEdge = () => {
    onOpen(undefined);
    setEdge((n) => n + 1);
  };
  const settled = !found.isFetching && !found.error;
  const isLost = settled && search.line !== undefined && !lines.some((line) => lineKey(line) === search.line);
  return (
    <div className="logsBody">
      <FieldSidebar logs={logs} fields={fields} />
      <div className="logsMain">
        <Histogram logs={logs} fields={fields.list} loaded={lines.length} said={found.error} />
        {found.error ? (
          <Problem
            error={found.error}
            query={logs.written === 'logql' ? logs.query : undefined}
            advice={adviceOn(found.error)}
            onRetry={() => void found.refetch()}
          />
        ) : null}
        <div className="panel linesPanel">
          <ListHead logs={logs} lines={lines}>
            <Download logs={logs} lines={lines} order={order} />
          </ListHead>
          {found.behind ? (
            <div className="linesBehind" role="status">
              The list waits while you read.
              <button type="button" className="linkish" onClick={toEdge}>
                {order === 'newest' ? 'Newest lines' : 'Read again'}
              </button>
            </div>
          ) : null}
          {isLost && search.line ? (
            <Pinned lineKey={search.line} logs={logs} onClose={() => onOpen(undefined)} />
          ) : null}
          {lines.length === 0 && settled ? (
            <NoLines logs={logs} />
          ) : (
            <LineList
              logs={logs}
              lines={lines}
              order={order}
              more={found.hasNextPage}
              loadingMore={found.isFetchingNextPage}
              end={lines.length === 0 ? '' : endText(lines.length, order)}
              edge={edge}
              onScrolled={setScrolled}
              onMore={onMore}
              onOpen={onOpen}
            />
          )}
        </div>
      </div>
    </div>
  );
}

function endText(count: number, order: 'newest' | 'oldest'): string {
  const other = order === 'newest' ? 'older' : 'newer';
  return count >= MOST_LINES
    ? `The ${order} ${formatCount(MOST_LINES)} lines are here. Narrow the query or the range for ${other} ones, or download all.`
    : `No ${other} lines in this range.`;
}
