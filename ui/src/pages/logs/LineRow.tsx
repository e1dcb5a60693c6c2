/** One line: when, how bad, the chosen columns, the text with its colours, marks and links. Plain elements only. */
import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import type { LogLine } from '../../api/loki';
import { levelOfLine, valueOf } from '../../lib/fields';
import { type Piece, linePieces, traceIdOf } from '../../lib/linetext';
import type { Level } from '../../lib/loglines';
import type { Wanted } from '../../lib/logql';
import type { Zone } from '../../lib/time';
import { formatLogTime } from '../../lib/timeformat';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';

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

interface Props {
  line: LogLine;
  id: string;
  open: boolean;
  zone: Zone;
  withDate: boolean;
  wrap: boolean;
  wanted: Wanted;
  columns: readonly string[];
  widths: ReadonlyMap<string, number>;
  onOpen: (key: string | undefined) => void;
}

export const LineRow = memo(function LineRow(props: Props) {
  const { line, id, open, zone, withDate, wrap, wanted, columns, widths, onOpen } = props;
  const level = levelOfLine(line);
  const toggle = () => onOpen(open ? undefined : id);
  return (
    <div
      className="line"
      data-level={level}
      data-open={open || undefined}
      onClick={(event) => {
        // Links lead elsewhere, and text that was just marked is to be copied.
        const inside = (event.target as Element).closest('a, button');
        if (!inside && !window.getSelection()?.toString()) toggle();
      }}
    >
      <button type="button" className="lineTime" aria-expanded={open} tabIndex={-1} onClick={toggle}>
        {formatLogTime(line.ms, zone, withDate)}
      </button>
      <span className="lineLevel">{SHORT[level]}</span>
      {columns.map((key) => {
        const value = valueOf(line, key);
        return (
          <span key={key} className="lineColumn" style={{ width: `${widths.get(key) ?? 10}ch` }} title={value}>
            {value ?? '–'}
          </span>
        );
      })}
      <LineText line={line} wrap={wrap} wanted={wanted} />
    </div>
  );
});

interface TextProps {
  line: LogLine;
  wrap: boolean;
  wanted: Wanted;
}

/** In one row breaks are signs; the whole text stands in the detail. */
function LineText({ line, wrap, wanted }: TextProps) {
  const cut = line.line.length > SHOWN_CHARS ? `${line.line.slice(0, SHOWN_CHARS)}…` : line.line;
  const text = wrap ? cut : cut.replace(/\r?\n/g, ' ⏎ ');
  const pieces = linePieces(text, wanted);
  const traceId = pieces.some((piece) => piece.traceId) ? undefined : traceIdOf(line);
  return (
    <>
      <span className="lineText">
        {pieces.map((piece, i) => (
          <TextPiece key={i} piece={piece} />
        ))}
      </span>
      {traceId ? (
        <TraceLink id={traceId} className="lineTrace">
          trace
        </TraceLink>
      ) : null}
    </>
  );
}

export function TextPiece({ piece }: { piece: Piece }) {
  const text = piece.marked ? <mark>{piece.text}</mark> : piece.text;
  if (piece.traceId) {
    return (
      <TraceLink id={piece.traceId} className={piece.style}>
        {text}
      </TraceLink>
    );
  }
  return piece.style ? <span className={piece.style}>{text}</span> : text;
}

interface LinkProps {
  id: string;
  className: string;
  children: React.ReactNode;
}

function TraceLink({ id, className, children }: LinkProps) {
  return (
    <Link
      to="/trace/$id"
      params={{ id: id.toLowerCase() }}
      search={(before: CommonSearch) => pickCommon(before)}
      preload={false}
      className={className}
      title={`Trace ${id}`}
      tabIndex={-1}
    >
      {children}
    </Link>
  );
}
