/**
 * The tree of one trace, flattened: spans in the order they are read (parents before children, siblings by start), each
 * with its depth and the number of rows below it, so that folding is skipping. A parent that is named and not there has a
 * row all the same, which says that it is missing. Nothing here recurses: depth is data from outside.
 */
import type { KeyValue, SpanEvent, WireTrace } from '../api/jaeger';
import { readTrace, type SpanData, type SpanLink, type TraceData } from './spandata';

export interface Span {
  id: string;
  service: string;
  /** Where it ran; empty where it does not say. */
  cluster: string;
  /** Whose clock its times are of. */
  host: string;
  operation: string;
  /** Microseconds from the start of the trace. */
  startUs: number;
  durationUs: number;
  /** By how much its times, and those of its events, were moved. */
  movedUs: number;
  depth: number;
  /** Index of the parent in the flattened list, -1 for a root. */
  parent: number;
  /** Spans below this one at any depth. */
  below: number;
  error: boolean;
  kind: string;
  /** It follows its parent, which does not wait for it. */
  follows: boolean;
  /** Its parent is named but not in this trace: lost, late, or not sampled. */
  orphan: boolean;
  /** Stands for a span that is not here: all that is known are its id and what hangs below it. */
  missing: boolean;
  tags: readonly KeyValue[];
  events: readonly SpanEvent[];
  links: readonly SpanLink[];
  process: readonly KeyValue[];
  warnings: readonly string[];
}

export interface Trace {
  id: string;
  /** Microseconds since the epoch. */
  startUs: number;
  durationUs: number;
  /** With a row for each that is missing. */
  spans: Span[];
  /** Spans that are here. */
  count: number;
  /** Indexes of those that are missing. */
  gaps: number[];
  /** Index of the span that the trace is named by: the first that has no parent, else the first there is. */
  root: number;
  levels: number;
  services: string[];
  clusters: string[];
  errors: number;
}

export function buildTrace(wire: WireTrace): Trace {
  return treeOf(readTrace(wire));
}

/** `moves` are added to the times of spans, by their place in `data`. */
export function treeOf(data: TraceData, moves?: Float64Array): Trace {
  const starts = Float64Array.from(data.spans, (span, i) => span.startUs + (moves?.[i] ?? 0));
  let startUs = Infinity;
  let endUs = -Infinity;
  data.spans.forEach((span, i) => {
    startUs = Math.min(startUs, starts[i] ?? 0);
    endUs = Math.max(endUs, (starts[i] ?? 0) + span.durationUs);
  });
  if (data.spans.length === 0) startUs = endUs = 0;
  const spans = flatten(data.spans, starts, startUs);
  const here = spans.filter((span) => !span.missing);
  return {
    id: data.id,
    startUs,
    durationUs: Math.max(endUs - startUs, 0),
    spans,
    count: here.length,
    gaps: spans.flatMap((span, i) => (span.missing ? [i] : [])),
    root: rootOf(spans),
    levels: spans.reduce((most, span) => Math.max(most, span.depth + 1), 0),
    services: [...new Set(here.map((span) => span.service))].sort(),
    clusters: [...new Set(here.map((span) => span.cluster))].sort(),
    errors: here.filter((span) => span.error).length,
  };
}

function rootOf(spans: readonly Span[]): number {
  const own = spans.findIndex((span) => span.parent < 0 && !span.missing);
  return own >= 0
    ? own
    : Math.max(
        0,
        spans.findIndex((span) => !span.missing),
      );
}

/** Who hangs from whom, as chains of indexes; -1 ends them. Children stand in the order they are read. */
export interface Kin {
  first: Int32Array;
  next: Int32Array;
  /** Without a parent, or with one that is not here, in order. */
  roots: number[];
  /** All of them by start. */
  order: number[];
}

export function kinOf(spans: readonly SpanData[], starts: Float64Array): Kin {
  const index = new Map(spans.map((span, i) => [span.id, i]));
  const order = [...spans.keys()].sort(
    (a, b) =>
      (starts[a] ?? 0) - (starts[b] ?? 0) ||
      (spans[b]?.durationUs ?? 0) - (spans[a]?.durationUs ?? 0) ||
      ((spans[a]?.id ?? '') < (spans[b]?.id ?? '') ? -1 : 1),
  );
  const first = new Int32Array(spans.length).fill(-1);
  const next = new Int32Array(spans.length).fill(-1);
  const last = new Int32Array(spans.length).fill(-1);
  const roots: number[] = [];
  for (const i of order) {
    const parent = index.get(spans[i]?.parentId ?? '');
    if (parent === undefined || parent === i) {
      roots.push(i);
      continue;
    }
    const before = last[parent] ?? -1;
    if (before < 0) first[parent] = i;
    else next[before] = i;
    last[parent] = i;
  }
  return { first, next, roots, order };
}

function flatten(spans: readonly SpanData[], starts: Float64Array, zeroUs: number): Span[] {
  const kin = kinOf(spans, starts);
  const out: Span[] = [];
  const placed = new Uint8Array(spans.length);
  const shapeAt = (i: number, depth: number, parent: number) =>
    shape(spans[i] as SpanData, (starts[i] ?? 0) - zeroUs, depth, parent, (starts[i] ?? 0) - (spans[i]?.startUs ?? 0));
  const walk = (root: number, depth: number, parent: number) => {
    // The last child goes on first, so that the first is read next: chains are turned round by walking them once.
    const stack: [index: number, depth: number, parent: number][] = [[root, depth, parent]];
    for (let top = stack.pop(); top; top = stack.pop()) {
      const [i, level, above] = top;
      if (placed[i]) continue;
      placed[i] = 1;
      const at = out.push(shapeAt(i, level, above)) - 1;
      const from = stack.length;
      for (let child = kin.first[i] ?? -1; child >= 0; child = kin.next[child] ?? -1)
        stack.push([child, level + 1, at]);
      turn(stack, from);
    }
  };
  const strays = straysOf(spans, kin.roots);
  const done = new Set<string>();
  for (const root of kin.roots) {
    const missing = spans[root]?.parentId ?? '';
    const family = strays.get(missing);
    if (!family) walk(root, 0, -1);
    else if (!done.has(missing)) {
      done.add(missing);
      const at = out.push(placeholder(missing, family, spans, starts, zeroUs)) - 1;
      for (const stray of family) walk(stray, 1, at);
    }
  }
  // Spans that name each other as parents hang from no root; they are shown rather than lost.
  for (const i of kin.order) if (!placed[i]) walk(i, 0, -1);
  countBelow(out);
  return out;
}

function turn<T>(list: T[], from: number): void {
  for (let a = from, b = list.length - 1; a < b; a += 1, b -= 1) {
    const kept = list[a] as T;
    list[a] = list[b] as T;
    list[b] = kept;
  }
}

/** Those whose parent is named and not here, by that name. */
function straysOf(spans: readonly SpanData[], roots: readonly number[]): Map<string, number[]> {
  const out = new Map<string, number[]>();
  for (const i of roots) {
    const parent = spans[i]?.parentId ?? '';
    if (parent === '') continue;
    const family = out.get(parent);
    if (family) family.push(i);
    else out.set(parent, [i]);
  }
  return out;
}

/** It lasted at least as long as what hangs directly below it. */
function placeholder(
  id: string,
  family: readonly number[],
  spans: readonly SpanData[],
  starts: Float64Array,
  zeroUs: number,
): Span {
  let from = Infinity;
  let to = -Infinity;
  for (const i of family) {
    from = Math.min(from, starts[i] ?? 0);
    to = Math.max(to, (starts[i] ?? 0) + (spans[i]?.durationUs ?? 0));
  }
  return {
    ...NOTHING,
    id,
    operation: 'missing span',
    startUs: from - zeroUs,
    durationUs: to - from,
    missing: true,
  };
}

function countBelow(spans: Span[]): void {
  for (let i = spans.length - 1; i >= 0; i -= 1) {
    const span = spans[i] as Span;
    const parent = spans[span.parent];
    if (!parent) continue;
    parent.below += span.below + 1;
    if (parent.missing) span.orphan = true;
  }
}

const NOTHING: Span = {
  id: '',
  service: '',
  cluster: '',
  host: '',
  operation: '',
  startUs: 0,
  durationUs: 0,
  movedUs: 0,
  depth: 0,
  parent: -1,
  below: 0,
  error: false,
  kind: '',
  follows: false,
  orphan: false,
  missing: false,
  tags: [],
  events: [],
  links: [],
  process: [],
  warnings: [],
};

function shape(data: SpanData, startUs: number, depth: number, parent: number, movedUs: number): Span {
  return {
    id: data.id,
    service: data.process.service,
    cluster: data.process.cluster,
    host: data.process.host,
    operation: data.operation,
    startUs,
    durationUs: data.durationUs,
    movedUs,
    depth,
    parent,
    below: 0,
    error: data.error,
    kind: data.kind,
    follows: data.follows,
    orphan: false,
    missing: false,
    tags: data.tags,
    events: data.events,
    links: data.links,
    process: data.process.tags,
    warnings: data.warnings,
  };
}

export interface Fold {
  /** Spans this deep and deeper start folded; undefined folds none. */
  depth: number | undefined;
  /** Ids whose state is the other one. */
  toggled: ReadonlySet<string>;
}

export function isFolded(span: Span, fold: Fold): boolean {
  return span.below > 0 && (fold.depth !== undefined && span.depth >= fold.depth) !== fold.toggled.has(span.id);
}

/** Indexes of the spans in sight, in order. With `only`, spans outside it are hidden but their order stays. */
export function visibleSpans(spans: readonly Span[], fold: Fold, only?: ReadonlySet<number>): number[] {
  const out: number[] = [];
  for (let i = 0; i < spans.length; i += 1) {
    const span = spans[i] as Span;
    if (!only || only.has(i)) out.push(i);
    // A filter looks into folded spans too: a hidden match is no match.
    if (!only && isFolded(span, fold)) i += span.below;
  }
  return out;
}

/** Time a span spent outside of its children: overlapping children count once. */
export function selfTimes(spans: readonly Span[]): number[] {
  const covered = spans.map(() => 0);
  const reach = spans.map((span) => span.startUs);
  // Siblings come in order of start, so one running end per parent is enough.
  for (const span of spans) {
    const parent = spans[span.parent];
    if (!parent) continue;
    const from = Math.max(span.startUs, reach[span.parent] ?? 0, parent.startUs);
    const to = Math.min(span.startUs + span.durationUs, parent.startUs + parent.durationUs);
    if (to <= from) continue;
    covered[span.parent] = (covered[span.parent] ?? 0) + to - from;
    reach[span.parent] = to;
  }
  return spans.map((span, i) => (span.missing ? 0 : Math.max(0, span.durationUs - (covered[i] ?? 0))));
}
