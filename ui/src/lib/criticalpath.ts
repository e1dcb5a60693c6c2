/**
 * The critical path: the work that a trace waited for. Whatever makes it shorter makes the trace shorter; nothing else does.
 *
 * The algorithm is that of Uber's CRISP (Zhang et al., USENIX ATC 2022) as Jaeger's UI has it. From the end of a root back
 * in time: the child that ended last is what its parent waited for, so the path goes through it; from its beginning on, back
 * in the parent, the child that had ended by then is next; time without such a child is the parent's own. Children are cut
 * to their parent's time first. What nobody waits for (a consumer of what its parent produced, a span that follows its
 * parent) is left out with everything below it, and so is what lies outside of its parent altogether.
 *
 * Unlike Jaeger's, a child that ends in the very microsecond in which the next begins counts as before it.
 */
import type { Span } from './trace';

export interface Section {
  /** Index of the span that the time is spent in itself. */
  span: number;
  fromUs: number;
  toUs: number;
}

/** In order of time for each tree of the trace: of each root, and of each span whose parent is missing. */
export function criticalPath(spans: readonly Span[]): Section[] {
  const bounds = boundsOf(spans);
  const children = childrenByEnd(spans, bounds);
  const out: Section[] = [];
  for (const [i, span] of spans.entries()) {
    if (span.missing || !startsTree(spans, span)) continue;
    // Longer than what a call takes as arguments.
    for (const section of walkBack(i, spans, bounds, children).reverse()) out.push(section);
  }
  return out;
}

function startsTree(spans: readonly Span[], span: Span): boolean {
  return span.parent < 0 || spans[span.parent]?.missing === true;
}

interface Bounds {
  from: Float64Array;
  to: Float64Array;
  /** Spans that cannot be on the path. */
  out: Uint8Array;
}

/** Each span cut to what its ancestors leave of it; parents come before their children. */
function boundsOf(spans: readonly Span[]): Bounds {
  const from = new Float64Array(spans.length);
  const to = new Float64Array(spans.length);
  const out = new Uint8Array(spans.length);
  for (const [i, span] of spans.entries()) {
    from[i] = span.startUs;
    to[i] = span.startUs + span.durationUs;
    const parent = spans[span.parent];
    if (!parent || parent.missing) continue;
    const above = [from[span.parent] ?? 0, to[span.parent] ?? 0] as const;
    const async = span.follows || (parent.kind === 'producer' && span.kind === 'consumer');
    if (out[span.parent] || async || span.startUs >= above[1] || (to[i] ?? 0) <= above[0]) out[i] = 1;
    from[i] = Math.max(span.startUs, above[0]);
    to[i] = Math.min(to[i] ?? 0, above[1]);
  }
  return { from, to, out };
}

/** Of each span with children on the way: them, the one that ends last first. */
function childrenByEnd(spans: readonly Span[], { from, to, out }: Bounds): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const [i, span] of spans.entries()) {
    if (out[i] || span.parent < 0 || startsTree(spans, span)) continue;
    const list = children.get(span.parent);
    if (list) list.push(i);
    else children.set(span.parent, [i]);
  }
  for (const list of children.values())
    list.sort((a, b) => (to[b] ?? 0) - (to[a] ?? 0) || (from[a] ?? 0) - (from[b] ?? 0) || a - b);
  return children;
}

function walkBack(
  root: number,
  spans: readonly Span[],
  { from, to }: Bounds,
  children: ReadonlyMap<number, readonly number[]>,
): Section[] {
  const out: Section[] = [];
  const own = (span: number, fromUs: number, toUs: number) => {
    if (fromUs < toUs) out.push({ span, fromUs, toUs });
  };
  // How many children of a span on the way up have been passed already.
  const passed = new Map<number, number>();
  let at = root;
  let until = to[root] ?? 0;
  for (;;) {
    const list = children.get(at) ?? [];
    let place = passed.get(at) ?? 0;
    while (place < list.length && (to[list[place] ?? 0] ?? 0) > until) place += 1;
    passed.set(at, place + 1);
    const child = list[place];
    if (child !== undefined) {
      own(at, to[child] ?? 0, until);
      until = to[child] ?? 0;
      at = child;
      continue;
    }
    own(at, from[at] ?? 0, until);
    until = from[at] ?? 0;
    if (at === root) return out;
    at = spans[at]?.parent ?? root;
  }
}

/** Microseconds each span has on the path. */
export function timeOnPath(sections: readonly Section[], count: number): Float64Array {
  const out = new Float64Array(count);
  for (const { span, fromUs, toUs } of sections) out[span] = (out[span] ?? 0) + toUs - fromUs;
  return out;
}

/** The sections of each span that has any. */
export function sectionsBySpan(sections: readonly Section[]): Map<number, Section[]> {
  const out = new Map<number, Section[]>();
  for (const section of sections) {
    const list = out.get(section.span);
    if (list) list.push(section);
    else out.set(section.span, [section]);
  }
  return out;
}
