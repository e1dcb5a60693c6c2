/** Lines grouped by what they have in common: how many, since when, and a way to see only these or none of them. */
import { useMemo } from 'react';
import { patterns } from '../../api/logfields';
import { Sparkline } from '../../chart/Sparkline';
import { adviceOn } from '../../lib/advice';
import { addLineFilter, onlyLeftOut } from '../../lib/logql';
import {
  isUsable,
  minePatterns,
  patternPieces,
  type PatternRow,
  type PatternSamples,
  shapePatterns,
} from '../../lib/patterns';
import { niceStep } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { CsvButton } from '../../parts/CsvButton';
import { Problem } from '../../parts/Problem';
import { VirtualTable } from '../../parts/VirtualTable';
import { useAnswer } from '../../state/answers';
import { usePatch, useView } from '../../state/view';
import { FieldSidebar } from './FieldSidebar';
import { Histogram } from './Histogram';
import { NoLines } from './NoLines';
import { useFields } from './useFields';
import { useLines } from './useLines';
import type { Logs } from './useLogs';

const COLUMNS = [
  { key: 'count', title: 'Lines', width: '84px', align: 'right' as const },
  { key: 'share', title: 'Share', width: '62px', align: 'right' as const },
  { key: 'trend', title: 'Trend', width: '130px' },
  { key: 'level', title: 'Level', width: '64px' },
  { key: 'pattern', title: 'Pattern', width: 'minmax(240px, 1fr)' },
  { key: 'filter', title: <span className="srOnly">Filter</span>, width: '128px' },
];
const ROW_PX = 30;

export default function Patterns({ logs }: { logs: Logs }) {
  const { range, asker, nowMs, from, to } = useView();
  const step = Math.max(10, niceStep(range.toMs - range.fromMs, 60));
  const answer = useAnswer(['patterns', logs.query, asker, from, to, nowMs, step], (signal) =>
    patterns(logs.query, { ...asker, signal }, range, step),
  );
  const found = useLines(logs.query, 'newest', false);
  const fields = useFields(logs, found.lines);
  const leftOut = useMemo(() => onlyLeftOut(logs.query), [logs.query]);
  const told = answer.data?.data ?? null;
  // Patterns of the node are of whole streams: what other filters leave of them only the lines tell.
  const isTold = told !== null && told.length > 0 && leftOut !== null;
  const mined = !answer.isPlaceholderData && answer.data !== undefined && !isTold;
  const rows = useMemo(() => {
    if (!mined) return shapePatterns(kept(told ?? [], leftOut ?? []), range);
    const oldest = found.lines[found.lines.length - 1];
    const looked = { fromMs: found.hasNextPage && oldest ? oldest.ms : range.fromMs, toMs: range.toMs };
    return shapePatterns(minePatterns(found.lines), looked, found.hasNextPage);
  }, [mined, told, leftOut, found.lines, found.hasNextPage, range]);
  const waiting = answer.isLoading || (mined && found.isLoading);
  return (
    <div className="logsBody">
      <FieldSidebar logs={logs} fields={fields} />
      <div className="logsMain">
        <Histogram logs={logs} fields={fields.list} loaded={found.lines.length} />
        {answer.error ? (
          <Problem error={answer.error} advice={adviceOn(answer.error)} onRetry={() => void answer.refetch()} />
        ) : null}
        <section className="panel linesPanel" aria-label="Patterns">
          <div className="row patternsHead">
            <strong className="num">{waiting ? '–' : formatCount(rows.length)}</strong>
            <span className="soft grow" role="status">
              patterns{' '}
              {mined ? `in the ${formatCount(found.lines.length)} loaded lines` : 'of these streams in the range'}
            </span>
            {mined && found.hasNextPage ? (
              <button type="button" className="btn quiet" onClick={() => void found.fetchNextPage()}>
                Look at more lines
              </button>
            ) : null}
            <CsvButton name="patterns" make={() => csv(rows)} />
          </div>
          {!waiting && rows.length === 0 && !answer.error ? (
            <NoLines logs={logs} />
          ) : (
            <VirtualTable
              label="Patterns"
              columns={COLUMNS}
              count={rows.length}
              height="fill"
              rowPx={ROW_PX}
              fit
              leastPx={760}
              cell={(row, column) => <Cell row={rows[row]} column={column} logs={logs} />}
            />
          )}
        </section>
      </div>
    </div>
  );
}

function kept(told: readonly PatternSamples[], leftOut: readonly string[]): PatternSamples[] {
  return told.filter((one) => !leftOut.includes(one.pattern));
}

function csv(rows: readonly PatternRow[]) {
  return {
    header: ['lines', 'share', 'level', 'pattern'],
    rows: rows.map((row) => [row.count, Number(row.share.toFixed(6)), row.level, row.pattern]),
  };
}

function Cell({ row, column, logs }: { row: PatternRow | undefined; column: number; logs: Logs }) {
  if (!row) return null;
  switch (COLUMNS[column]?.key) {
    case 'count':
      return formatCount(row.count);
    case 'share':
      return `${row.share < 0.001 ? '<0.1' : (row.share * 100).toFixed(1)} %`;
    case 'trend':
      return <Sparkline values={row.trend} colour="var(--series-0)" width={120} height={22} />;
    case 'level':
      return row.level ? <span className={`patternLevel ${row.level}`}>{row.level}</span> : '–';
    case 'pattern':
      return <PatternText row={row} />;
    default:
      return <Buttons row={row} logs={logs} />;
  }
}

function PatternText({ row }: { row: PatternRow }) {
  return (
    <span className="patternText clip" title={row.pattern}>
      {row.isNew ? <span className="tag warn">new</span> : null}
      {patternPieces(row.pattern).map((piece, i) =>
        piece.varies ? (
          <span key={i} className="patternGap">
            {'<_>'}
          </span>
        ) : (
          piece.text
        ),
      )}
    </span>
  );
}

function Buttons({ row, logs }: { row: PatternRow; logs: Logs }) {
  const patch = usePatch();
  const usable = isUsable(row.pattern);
  const title = usable ? row.pattern : 'Nothing in this pattern is fixed: it cannot be searched for';
  return (
    <span className="row patternButtons">
      <button
        type="button"
        className="btn quiet"
        disabled={!usable}
        title={title}
        aria-label={`Only lines like ${row.pattern}`}
        onClick={() => patch({ q: addLineFilter(logs.query, '|>', row.pattern), view: undefined, line: undefined })}
      >
        Only
      </button>
      <button
        type="button"
        className="btn quiet"
        disabled={!usable}
        title={title}
        aria-label={`Without lines like ${row.pattern}`}
        onClick={() => logs.setQuery(addLineFilter(logs.query, '!>', row.pattern))}
      >
        Without
      </button>
    </span>
  );
}
