/** The lines: newest on top, only those in sight exist, older ones are fetched as the end comes near. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useRef, useState } from 'react';
import type { LogLine } from '../../api/loki';
import { type Level, levelOf, lineKey, markPieces } from '../../lib/loglines';
import type { Zone } from '../../lib/time';
import { formatLogTime } from '../../lib/timeformat';
import { LineDetail } from './LineDetail';

interface Props {
  lines: readonly LogLine[];
  zone: Zone;
  withDate: boolean;
  wrap: boolean;
  columns: readonly string[];
  open: string | undefined;
  marked: readonly string[];
  streamLabels: ReadonlySet<string>;
  more: boolean;
  loadingMore: boolean;
  end: string;
  /** A refresh has passed that this list does not show yet. */
  behind: boolean;
  onScrolled: (scrolled: boolean) => void;
  onMore: () => void;
  onOpen: (key: string | undefined) => void;
  onFilter: (label: string, value: string, operator: '=' | '!=', isStream: boolean) => void;
}

const LINE_PX = 20;

export function LineList(props: Props) {
  const { lines, open, more, loadingMore, onMore, onOpen } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [current, setCurrent] = useState(-1);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_PX,
    overscan: 20,
  });
  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  useEffect(() => {
    if (more && !loadingMore && lines.length > 0 && last >= lines.length - 30) onMore();
  }, [more, loadingMore, last, lines.length, onMore]);

  const toNewest = () => {
    onOpen(undefined);
    scroller.current?.scrollTo(0, 0);
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const move = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const line = lines[current];
    if (event.key === 'Enter' && line) onOpen(lineKey(line) === open ? undefined : lineKey(line));
    else if (event.key === 'Escape' && open) onOpen(undefined);
    else if (move !== 0) {
      const next = Math.min(Math.max(current + move, 0), lines.length - 1);
      setCurrent(next);
      virtual.scrollToIndex(next);
    } else return;
    event.preventDefault();
  };
  return (
    <>
      {props.behind ? (
        <div className="linesBehind" role="status">
          The list waits while you read.
          <button type="button" className="linkish" onClick={toNewest}>
            Newest lines
          </button>
        </div>
      ) : null}
      <div
        ref={scroller}
        className={props.wrap ? 'virtual lines wrap' : 'virtual lines'}
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label="Log lines, newest first"
        onKeyDown={onKeyDown}
        onScroll={(event) => props.onScrolled(event.currentTarget.scrollTop > LINE_PX)}
      >
        <div className="inner" style={{ height: virtual.getTotalSize() + 28 }}>
          {items.map((item) => {
            const line = lines[item.index];
            if (!line) return null;
            const key = lineKey(line);
            return (
              <div
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                className={item.index === current ? 'vrow current' : 'vrow'}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <Line
                  line={line}
                  id={key}
                  open={key === open}
                  zone={props.zone}
                  withDate={props.withDate}
                  marked={props.marked}
                  columns={props.columns}
                  onOpen={onOpen}
                />
                {key === open ? (
                  <LineDetail
                    line={line}
                    zone={props.zone}
                    streamLabels={props.streamLabels}
                    onFilter={props.onFilter}
                  />
                ) : null}
              </div>
            );
          })}
          <div className="linesEnd soft" style={{ transform: `translateY(${virtual.getTotalSize()}px)` }}>
            {loadingMore ? 'Loading older lines…' : props.end}
          </div>
        </div>
      </div>
    </>
  );
}

interface LineProps {
  line: LogLine;
  id: string;
  open: boolean;
  zone: Zone;
  withDate: boolean;
  marked: readonly string[];
  columns: readonly string[];
  onOpen: (key: string | undefined) => void;
}

const SHORT: Record<Level, string> = {
  fatal: 'FTL',
  error: 'ERR',
  warn: 'WRN',
  info: 'INF',
  debug: 'DBG',
  trace: 'TRC',
  unknown: '···',
};
/** A longer line is cut here and whole in its detail: one megabyte of text in a row stops the page. */
const SHOWN_CHARS = 2000;

const Line = memo(function Line({ line, id, open, zone, withDate, marked, columns, onOpen }: LineProps) {
  const level = levelOf(line.labels);
  const text = line.line.length > SHOWN_CHARS ? `${line.line.slice(0, SHOWN_CHARS)}…` : line.line;
  return (
    <button
      type="button"
      className="line"
      data-level={level}
      aria-expanded={open}
      tabIndex={-1}
      onClick={() => onOpen(open ? undefined : id)}
    >
      <span className="lineTime">{formatLogTime(line.ms, zone, withDate)}</span>
      <span className="lineLevel">{SHORT[level]}</span>
      {columns.map((name) => (
        <span key={name} className="lineColumn" title={`${name}: ${line.labels[name] ?? ''}`}>
          {line.labels[name] ?? '–'}
        </span>
      ))}
      <span className="lineText">
        {markPieces(text, marked).map((piece, i) => (piece.marked ? <mark key={i}>{piece.text}</mark> : piece.text))}
      </span>
    </button>
  );
});
