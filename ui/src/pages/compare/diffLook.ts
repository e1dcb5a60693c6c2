/** How a difference is told: a word, a sign that needs no colour, and a colour. */
import type { DiffNode, DiffState } from '../../lib/tracediff';
import { formatDurationUs } from '../../lib/timeformat';
import { formatCount } from '../../lib/units';

interface Look {
  word: string;
  sign: string;
  colour: string;
}

export const LOOKS: Readonly<Record<DiffState, Look>> = {
  added: { word: 'added', sign: '+', colour: 'var(--series-2)' },
  removed: { word: 'removed', sign: '−', colour: 'var(--series-4)' },
  slower: { word: 'slower', sign: '▲', colour: 'var(--series-1)' },
  faster: { word: 'faster', sign: '▼', colour: 'var(--series-0)' },
  same: { word: 'alike', sign: '=', colour: 'var(--fg-faint)' },
};

/** Alike in each call, and not called as often: a loop that grew is no slower span. */
export const OTHER_COUNT: Look = { word: 'called another number of times', sign: '×', colour: 'var(--series-3)' };

export function lookOf(node: DiffNode): Look {
  return node.state === 'same' && node.otherCount ? OTHER_COUNT : LOOKS[node.state];
}

export function nodeName(node: DiffNode): string {
  return node.missing ? 'missing span' : `${node.service} ${node.operation}`;
}

/** `×3` where both have as many, `×3→5` where not. */
export function countText({ a, b }: DiffNode): string {
  if (a.count === b.count) return a.count > 1 ? `×${formatCount(a.count)}` : '';
  return `×${formatCount(a.count)}→${formatCount(b.count)}`;
}

export function changeText(node: DiffNode): string {
  if (node.state === 'added' || node.state === 'removed') return '–';
  const sign = node.changeUs < 0 ? '−' : '+';
  return node.changeUs === 0 ? '0' : `${sign}${formatDurationUs(Math.abs(node.changeUs))}`;
}

/** Of the mean of A. */
export function percentText(node: DiffNode): string {
  if (node.state === 'added' || node.state === 'removed' || node.a.meanUs === 0) return '–';
  const percent = Math.round((100 * node.changeUs) / node.a.meanUs);
  return `${percent > 0 ? '+' : percent < 0 ? '−' : ''}${formatCount(Math.abs(percent))} %`;
}

/** How much of its colour a box shows: a change of the mean to the double is as strong as one that was added. */
export function strength(node: DiffNode): number {
  if (node.state === 'same') return node.otherCount ? 0.7 : 0.15;
  if (node.state === 'added' || node.state === 'removed') return 1;
  const least = Math.min(node.a.meanUs, node.b.meanUs);
  return Math.min(1, 0.3 + (0.7 * Math.abs(node.changeUs)) / Math.max(1, least));
}

export function factsOf(node: DiffNode): [string, string][] {
  const mean = (side: DiffNode['a']) => (side.count > 0 ? formatDurationUs(side.meanUs) : '–');
  return [
    ['State', LOOKS[node.state].word],
    ['Spans', `${formatCount(node.a.count)} → ${formatCount(node.b.count)}`],
    ['Mean', `${mean(node.a)} → ${mean(node.b)}`],
    ['Change', `${changeText(node)} (${percentText(node)})`],
  ];
}
