/** A line cut into pieces to draw: its colours, what was searched for, and the ids of traces in it. */
import { readAnsi, type StyledRange } from './ansi';
import type { Wanted } from './logql';

export interface Piece {
  text: string;
  marked: boolean;
  /** Classes of its colours; empty for none. */
  style: string;
  /** The id of a trace that this piece is. */
  traceId?: string | undefined;
}

interface Span {
  from: number;
  to: number;
}

/** A line with more of them is drawn plain from there on: every piece is an element. */
const MOST_MARKS = 100;

export function linePieces(line: string, wanted: Wanted): Piece[] {
  const { plain, styles } = readAnsi(line);
  const marks = markSpans(plain, wanted);
  const ids = traceSpans(plain);
  if (styles.length === 0 && marks.length === 0 && ids.length === 0) return [{ text: plain, marked: false, style: '' }];
  const cuts = new Set([0, plain.length]);
  for (const { from, to } of [...styles, ...marks, ...ids]) cuts.add(from).add(to);
  const places = [...cuts].sort((a, b) => a - b);
  const inside = walker(places);
  const styled = inside(styles);
  const marked = inside(marks);
  const traced = inside(ids);
  return places.slice(0, -1).map((from, i) => {
    const id = traced[i];
    return {
      text: plain.slice(from, places[i + 1]),
      marked: marked[i] !== undefined,
      style: (styled[i] as StyledRange | undefined)?.style ?? '',
      ...(id ? { traceId: plain.slice(id.from, id.to) } : {}),
    };
  });
}

/** For spans that are sorted and apart: which of them each piece lies in. */
function walker(places: readonly number[]) {
  return <T extends Span>(spans: readonly T[]): (T | undefined)[] => {
    let at = 0;
    return places.slice(0, -1).map((from) => {
      while (at < spans.length && (spans[at] as T).to <= from) at += 1;
      const span = spans[at];
      return span && span.from <= from ? span : undefined;
    });
  };
}

/** Sorted, and apart from each other. */
function markSpans(text: string, wanted: Wanted): Span[] {
  const found: Span[] = [];
  for (const pattern of [...wanted.texts.filter(Boolean).map(literal), ...wanted.patterns]) {
    pattern.lastIndex = 0;
    let count = 0;
    for (const hit of text.matchAll(pattern)) {
      if (hit[0] === '') continue;
      found.push({ from: hit.index, to: hit.index + hit[0].length });
      count += 1;
      if (count >= MOST_MARKS) break;
    }
  }
  found.sort((a, b) => a.from - b.from || a.to - b.to);
  const out: Span[] = [];
  for (const span of found) {
    const last = out[out.length - 1];
    if (last && span.from <= last.to) last.to = Math.max(last.to, span.to);
    else out.push({ ...span });
  }
  return out;
}

function literal(text: string): RegExp {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'g');
}

const TRACE_LABELS = ['trace_id', 'traceID', 'traceid', 'traceId', 'TraceID', 'otelTraceID', 'dd_trace_id'] as const;
const NAMED = /\btrace_?id["']?\s*[=:]\s*["']?([0-9a-f]{32}|[0-9a-f]{16})\b/i;
/** 128 bits in hexadecimal, as W3C writes the id of a trace. Other things look like that too: the trace page says so. */
const BARE = /(?<![0-9a-zA-Z-])(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{32}(?![0-9a-zA-Z-])/g;

function traceSpans(text: string): Span[] {
  if (text.length < 16) return [];
  const out: Span[] = [];
  for (const hit of text.matchAll(BARE)) {
    out.push({ from: hit.index, to: hit.index + hit[0].length });
    if (out.length >= 8) break;
  }
  const named = NAMED.exec(text);
  if (named?.[1]) {
    const from = named.index + named[0].length - named[1].length;
    if (!out.some((one) => one.from === from)) out.push({ from, to: from + named[1].length });
  }
  return out.sort((a, b) => a.from - b.from);
}

/** The trace that a line belongs to: by a field, by name in the text, or by an id that stands there alone. */
export function traceIdOf(line: { line: string; labels: Readonly<Record<string, string>> }): string | undefined {
  for (const name of TRACE_LABELS) {
    const value = line.labels[name];
    if (value && /^[0-9a-fA-F]{16,32}$/.test(value) && !/^0+$/.test(value)) return value.toLowerCase();
  }
  const named = NAMED.exec(line.line)?.[1];
  if (named && !/^0+$/.test(named)) return named.toLowerCase();
  BARE.lastIndex = 0;
  return BARE.exec(line.line)?.[0];
}

/** Whether this value of a field leads to a trace. */
export function isTraceField(name: string, value: string): boolean {
  return /^[0-9a-fA-F]{16,32}$/.test(value) && /trace_?id$/i.test(name) && !/^0+$/.test(value);
}
