/**
 * What a live tail has shown and what waits. While someone reads, lines wait and are counted; nothing that is on the screen
 * moves. Both lists are bounded: what falls out is counted too.
 */
import { compareNs, type LogLine } from '../api/loki';

export interface TailState {
  /** Newest first. */
  shown: readonly LogLine[];
  /** Newest first; empty unless paused. */
  waiting: readonly LogLine[];
  paused: boolean;
  /** Lines that came. */
  received: number;
  /** Lines that the node left out, since this reader or the network was slower than they come. */
  dropped: number;
  /** Waiting lines that were too many to be kept. */
  passed: number;
}

export const EMPTY_TAIL: TailState = { shown: [], waiting: [], paused: false, received: 0, dropped: 0, passed: 0 };

/** Lines a tab holds: older ones leave from the end. */
export const MOST_SHOWN = 5000;
export const MOST_WAITING = 5000;

/** `lines` in any order. */
export function receive(state: TailState, lines: readonly LogLine[], dropped: number): TailState {
  if (lines.length === 0 && dropped === 0) return state;
  const counts = { received: state.received + lines.length, dropped: state.dropped + dropped };
  if (!state.paused) return { ...state, ...counts, shown: merge(state.shown, lines).slice(0, MOST_SHOWN) };
  const waiting = merge(state.waiting, lines);
  const over = Math.max(0, waiting.length - MOST_WAITING);
  return { ...state, ...counts, waiting: waiting.slice(0, MOST_WAITING), passed: state.passed + over };
}

export function pause(state: TailState): TailState {
  return state.paused ? state : { ...state, paused: true };
}

export function follow(state: TailState): TailState {
  if (!state.paused) return state;
  const shown = merge(state.shown, state.waiting).slice(0, MOST_SHOWN);
  return { ...state, shown, waiting: [], paused: false, passed: 0 };
}

/** Late lines go where their time is; the usual case is that all of them are newer. */
function merge(have: readonly LogLine[], more: readonly LogLine[]): LogLine[] {
  const sorted = [...more].sort((a, b) => compareNs(b.ns, a.ns));
  const oldest = sorted[sorted.length - 1];
  const newest = have[0];
  if (!oldest || !newest || compareNs(oldest.ns, newest.ns) >= 0) return [...sorted, ...have];
  const out: LogLine[] = [];
  let i = 0;
  let j = 0;
  while (i < sorted.length || j < have.length) {
    const a = sorted[i];
    const b = have[j];
    if (a && (!b || compareNs(a.ns, b.ns) >= 0)) {
      out.push(a);
      i += 1;
    } else if (b) {
      out.push(b);
      j += 1;
    }
  }
  return out;
}
