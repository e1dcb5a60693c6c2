/** Annotations of an answer: what the engine warned of or remarked, and where in the query it saw it. */
import { findPosition } from '../api/http';

export interface Note {
  level: 'warning' | 'info';
  /** Without the `PromQL warning: ` before and the position behind. */
  text: string;
  /** From 1, in characters; null where it concerns the whole. */
  line: number | null;
  column: number | null;
  /** How many characters from there on are meant. */
  length: number;
}

const PREFIX = /^PromQL (?:warning|info): /;
/** Prometheus ends an annotation with its place: `… (1:6)`. */
const PLACE = /\s*\((\d{1,5}):(\d{1,6})\)\s*$/;

export function readNotes(warnings: readonly string[], infos: readonly string[], query: string): Note[] {
  const read = (level: Note['level']) => (text: string) => readNote(level, text, query);
  return [...warnings.map(read('warning')), ...infos.map(read('info'))];
}

function readNote(level: Note['level'], text: string, query: string): Note {
  const place = PLACE.exec(text);
  const found = place ? { line: Number(place[1]), column: Number(place[2]) } : findPosition(text);
  const clean = text.replace(PLACE, '').replace(PREFIX, '');
  const line = found ? query.split('\n')[found.line - 1] : undefined;
  if (!found || line === undefined || found.column < 1 || found.column > line.length + 1) {
    return { level, text: clean, line: null, column: null, length: 0 };
  }
  return { level, text: clean, ...found, length: wordLength(line.slice(found.column - 1)) };
}

/** A name with its selector, a function's name, or one character: enough to see what is meant. */
function wordLength(rest: string): number {
  const word = /^[A-Za-z_:][\w:.]*/.exec(rest)?.[0].length ?? 0;
  return Math.max(1, word || (/^(?:=~|!~|[=!<>]=|\S)/.exec(rest)?.[0].length ?? 1));
}

/** The offset in the whole text, for an editor. */
export function offsetOf(query: string, line: number, column: number): number {
  const lines = query.split('\n');
  let at = 0;
  for (let i = 0; i < Math.min(line - 1, lines.length); i += 1) at += (lines[i]?.length ?? 0) + 1;
  return Math.min(at + column - 1, query.length);
}

/** The places of notes as ranges of the text. */
export function noteRanges(
  notes: readonly Note[],
  query: string,
): { from: number; to: number; level: Note['level']; text: string }[] {
  return notes.flatMap(({ level, text, line, column, length }) => {
    if (line === null || column === null) return [];
    const from = offsetOf(query, line, column);
    return [{ from, to: Math.min(from + length, query.length), level, text }];
  });
}
