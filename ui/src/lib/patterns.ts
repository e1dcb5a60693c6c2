/**
 * Lines grouped by what they have in common. The node mines patterns as lines come in; where it has none, the lines that
 * are here are grouped by their words, with numbers and ids taken for what varies.
 */
import type { LogLine } from '../api/loki';
import { readAnsi } from './ansi';
import { levelOfLine } from './fields';
import type { Range } from './time';

export interface PatternRow {
  /** With `<_>` for what varies, as LogQL's `|>` reads it. */
  pattern: string;
  level: string;
  count: number;
  share: number;
  /** Counts on a regular grid over the range. */
  trend: (number | null)[];
  /** It began late in the range. */
  isNew: boolean;
}

export interface PatternSamples {
  pattern: string;
  level: string;
  /** Pairs of Unix seconds and a count. */
  samples: readonly (readonly [number, number])[];
}

/** Points of a trend. */
const POINTS = 40;
/** Before this share of the range nothing was seen of what is called new. */
const LATE = 0.75;

/** The most frequent first. Nothing is called new where only the newest lines were looked at (`sampled`). */
export function shapePatterns(found: readonly PatternSamples[], range: Range, sampled = false): PatternRow[] {
  const fromS = range.fromMs / 1e3;
  const wide = Math.max(1e-3, range.toMs / 1e3 - fromS);
  const byText = new Map<string, { level: string; count: number; trend: number[]; first: number }>();
  for (const { pattern, level, samples } of found) {
    const key = `${pattern}\u0000${level}`;
    const row = byText.get(key) ?? { level, count: 0, trend: new Array<number>(POINTS).fill(0), first: Infinity };
    byText.set(key, row);
    for (const [at, count] of samples) {
      const share = (at - fromS) / wide;
      const slot = Math.min(POINTS - 1, Math.max(0, Math.floor(share * POINTS)));
      row.count += count;
      row.trend[slot] = (row.trend[slot] ?? 0) + count;
      if (count > 0) row.first = Math.min(row.first, share);
    }
  }
  const total = [...byText.values()].reduce((sum, row) => sum + row.count, 0);
  return [...byText]
    .map(([key, row]) => ({
      pattern: key.slice(0, key.indexOf('\u0000')),
      level: row.level,
      count: row.count,
      share: total > 0 ? row.count / total : 0,
      trend: row.trend,
      isNew: !sampled && row.first > LATE && Number.isFinite(row.first),
    }))
    .filter((row) => row.count > 0)
    .sort((a, b) => b.count - a.count || a.pattern.localeCompare(b.pattern));
}

/** Lines that are grouped, and groups; past it a group of its own would be made for every id. */
const MOST_LINES = 5000;
const MOST_GROUPS = 500;
/** Words of a line that tell groups apart. */
const MOST_WORDS = 80;

/** Patterns of the lines that are here. */
export function minePatterns(lines: readonly LogLine[]): PatternSamples[] {
  const groups = new Map<string, { pattern: string; level: string; samples: [number, number][] }>();
  for (const line of lines.slice(0, MOST_LINES)) {
    const pattern = patternOf(line.line);
    const level = levelOfLine(line);
    const key = `${pattern}\u0000${level}`;
    let group = groups.get(key);
    if (!group) {
      if (groups.size >= MOST_GROUPS) continue;
      groups.set(key, (group = { pattern, level: level === 'unknown' ? '' : level, samples: [] }));
    }
    group.samples.push([line.ms / 1e3, 1]);
  }
  return [...groups.values()];
}

/** `took 12 ms` and `took 7 ms` are both `took <_> ms`; what stands in quotes varies as a whole. */
export function patternOf(text: string): string {
  const { plain } = readAnsi(text.slice(0, 2000));
  // A name before a colon is what JSON is told apart by.
  const quoted = plain.replace(/"(?:[^"\\]|\\.)*"(\s*:)?/g, (value, colon?: string) =>
    colon === undefined && /[\d ]/.test(value) ? '"<_>"' : value,
  );
  const words = quoted.split(/(\s+|[,;()[\]{}]|(?<==)|(?<=[^/]:)(?=[^/]))/);
  const out = words.slice(0, MOST_WORDS).map((word) => (varies(word) ? '<_>' : word));
  if (words.length > MOST_WORDS) out.push('<_>');
  return out.join('').replace(/<_>(?:[.:/-]?<_>)+/g, '<_>');
}

function varies(word: string): boolean {
  return /\d/.test(word) && !/^[A-Za-z_]{2,}\d?$/.test(word) && word !== '"<_>"';
}

/** A pattern in pieces: what is fixed, and what varies. */
export function patternPieces(pattern: string): { text: string; varies: boolean }[] {
  return pattern
    .split(/(<_>)/)
    .filter((text) => text !== '')
    .map((text) => ({ text, varies: text === '<_>' }));
}

/** Whether LogQL takes it: something fixed must be in it, and two that vary must not touch. */
export function isUsable(pattern: string): boolean {
  return /[^<_>\s]/.test(pattern.replaceAll('<_>', '')) && !pattern.includes('<_><_>');
}
