/** Lines as files, and as rows that a person copies. */
import type { LogLine } from '../api/loki';
import { readAnsi } from './ansi';
import { levelOfLine, readFieldKey, valueOf } from './fields';
import { toCsv } from './series';

/** Nanoseconds since the epoch as ISO 8601, to the last digit. */
export function isoOfNs(ns: string): string {
  const padded = ns.padStart(10, '0');
  const ms = Number(padded.slice(0, -6));
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return ns;
  return `${new Date(ms).toISOString().slice(0, -5)}.${padded.slice(-9)}Z`;
}

/** With the columns that are on the screen. `head` is for the first part of a file only. */
export function linesToCsv(lines: readonly LogLine[], columns: readonly string[], head: boolean): string {
  const names = columns.map((key) => readFieldKey(key).name);
  const rows = lines.map((line) => [
    isoOfNs(line.ns),
    levelOfLine(line),
    ...columns.map((key) => valueOf(line, key) ?? null),
    readAnsi(line.line).plain,
  ]);
  const text = toCsv(['time', 'level', ...names, 'line'], rows);
  return head ? text : text.slice(text.indexOf('\r\n') + 2);
}

/** Everything there is of each line. */
export function lineToObject(line: LogLine): object {
  const fields = line.parts
    ? { stream: line.parts.stream, metadata: line.parts.meta, parsed: line.parts.parsed }
    : { fields: line.labels };
  return { time: isoOfNs(line.ns), ns: line.ns, line: line.line, ...fields };
}

/** One object in a line of its own, between commas: parts of a file can be made one after the other. */
export function linesToJson(lines: readonly LogLine[]): string {
  return lines.map((line) => JSON.stringify(lineToObject(line))).join(',\n');
}
