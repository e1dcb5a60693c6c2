/**
 * Clocks of hosts disagree, and a call then seems to begin before it was made. A span that runs on another host than its
 * parent is moved into it, with everything below that runs on the same host, the way Jaeger's query service does it
 * (`adjuster/clockskew.go`): the time that the child is shorter is split evenly before and after it, and a child that is
 * longer is only kept from beginning before its parent.
 *
 * What differs from Jaeger, which only knows how far a span would move: how far matters little where a child begins before
 * its parent, since no wait explains that. A child that ends late may have been waiting in a queue, so it is moved by
 * `MOST_LATE_US` at most, and one that its parent does not wait for only where it begins too early.
 */
import type { SpanData } from './spandata';
import { kinOf } from './trace';

/** Further behind its parent than this, a child was late rather than its clock. Jaeger's own limit was a second. */
export const MOST_LATE_US = 1e6;

export interface HostSkew {
  host: string;
  /** Spans of it that were moved, or would have been. */
  spans: number;
  /** The moves that are furthest to either side, in microseconds; positive is later. */
  leastUs: number;
  mostUs: number;
}

export interface Skew {
  /** Microseconds each span is moved by, by its place. */
  moves: Float64Array;
  moved: HostSkew[];
  /** What would have had to be moved further than is believed. */
  refused: HostSkew[];
}

/** Null where nothing disagrees. */
export function measureSkew(spans: readonly SpanData[]): Skew | null {
  const starts = Float64Array.from(spans, (span) => span.startUs);
  const kin = kinOf(spans, starts);
  const moves = new Float64Array(spans.length);
  const refused = new Map<number, number>();
  interface Step {
    i: number;
    parent: number;
    host: string;
    move: number;
  }
  const stack: Step[] = kin.roots.map((i) => ({ i, parent: -1, host: spans[i]?.process.host ?? '', move: 0 }));
  for (let step = stack.pop(); step; step = stack.pop()) {
    const span = spans[step.i] as SpanData;
    const parent = spans[step.parent];
    const { host } = span.process;
    let { move } = step;
    if (parent && host !== step.host) {
      const wanted = moveInto(parent, (starts[step.parent] ?? 0) + (moves[step.parent] ?? 0), span);
      move = wanted < -MOST_LATE_US ? 0 : wanted;
      if (move !== wanted) refused.set(step.i, wanted);
    }
    moves[step.i] = move;
    for (let child = kin.first[step.i] ?? -1; child >= 0; child = kin.next[child] ?? -1)
      stack.push({ i: child, parent: step.i, host, move });
  }
  const moved = new Map<number, number>();
  moves.forEach((move, i) => {
    if (move !== 0) moved.set(i, move);
  });
  if (moved.size === 0 && refused.size === 0) return null;
  return { moves, moved: byHost(spans, moved), refused: byHost(spans, refused) };
}

/** How far `child` is moved so that it lies in its parent, which begins at `startUs`. */
function moveInto(parent: SpanData, startUs: number, child: SpanData): number {
  const lead = startUs - child.startUs;
  const async = child.follows || (parent.kind === 'producer' && child.kind === 'consumer');
  const spare = parent.durationUs - child.durationUs;
  if (async || spare < 0) return Math.max(0, lead);
  if (lead <= 0 && child.startUs + child.durationUs <= startUs + parent.durationUs) return 0;
  return lead + Math.floor(spare / 2);
}

function byHost(spans: readonly SpanData[], moves: ReadonlyMap<number, number>): HostSkew[] {
  const out = new Map<string, HostSkew>();
  for (const [i, us] of moves) {
    const host = spans[i]?.process.host ?? '';
    const seen = out.get(host);
    if (seen) {
      seen.spans += 1;
      seen.leastUs = Math.min(seen.leastUs, us);
      seen.mostUs = Math.max(seen.mostUs, us);
    } else out.set(host, { host, spans: 1, leastUs: us, mostUs: us });
  }
  return [...out.values()].sort((a, b) => b.spans - a.spans || (a.host < b.host ? -1 : 1));
}
