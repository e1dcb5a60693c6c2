/**
 * The tree of one trace, flattened: spans in the order they are read (parents before children, siblings by start), each
 * with its depth and the number of rows below it, so that folding is skipping. Nothing here recurses: depth is data
 * from outside.
 */
import type { KeyValue, SpanEvent, WireSpan, WireTrace } from '../api/jaeger';
import { clusterOf } from './lanes';

export interface Span {
  id: string;
  service: string;
  /** Where it ran; empty where it does not say. */
  cluster: string;
  operation: string;
  /** Microseconds from the start of the trace. */
  startUs: number;
  durationUs: number;
  depth: number;
  /** Index of the parent in the flattened list, -1 for a root. */
  parent: number;
  /** Spans below this one at any depth. */
  below: number;
  error: boolean;
  kind: string;
  /** Its parent is named but not in this trace: lost, late, or not sampled. */
  orphan: boolean;
  tags: readonly KeyValue[];
  events: readonly SpanEvent[];
  process: readonly KeyValue[];
  warnings: readonly string[];
}

export interface Trace {
  id: string;
  /** Microseconds since the epoch. */
  startUs: number;
  durationUs: number;
  spans: Span[];
  services: string[];
  clusters: string[];
  errors: number;
}

export function buildTrace(wire: WireTrace): Trace {
  const spans = dedupe(wire.spans);
  const startUs = spans.reduce((low, span) => Math.min(low, span.startTime), Infinity);
  const endUs = spans.reduce((high, span) => Math.max(high, span.startTime + span.duration), -Infinity);
  const flat = flatten(spans, wire, Number.isFinite(startUs) ? startUs : 0);
  return {
    id: wire.traceID,
    startUs: Number.isFinite(startUs) ? startUs : 0,
    durationUs: Number.isFinite(endUs) ? Math.max(endUs - startUs, 0) : 0,
    spans: flat,
    services: [...new Set(flat.map((span) => span.service))].sort(),
    clusters: [...new Set(flat.map((span) => span.cluster))].sort(),
    errors: flat.filter((span) => span.error).length,
  };
}

/** A span that was sent twice is one span. */
function dedupe(spans: readonly WireSpan[]): WireSpan[] {
  return [...new Map(spans.map((span) => [span.spanID, span])).values()];
}

function parentId(span: WireSpan): string | undefined {
  const own = span.references?.filter((ref) => ref.traceID === span.traceID || ref.traceID === '') ?? [];
  return (own.find((ref) => ref.refType === 'CHILD_OF') ?? own[0])?.spanID;
}

function flatten(spans: readonly WireSpan[], wire: WireTrace, startUs: number): Span[] {
  const byId = new Map(spans.map((span) => [span.spanID, span]));
  const children = new Map<string, WireSpan[]>();
  const roots: WireSpan[] = [];
  for (const span of spans) {
    const parent = parentId(span);
    if (parent !== undefined && parent !== span.spanID && byId.has(parent)) {
      const list = children.get(parent);
      if (list) list.push(span);
      else children.set(parent, [span]);
    } else roots.push(span);
  }
  const byStart = (a: WireSpan, b: WireSpan) =>
    a.startTime - b.startTime || b.duration - a.duration || a.spanID.localeCompare(b.spanID);
  for (const list of children.values()) list.sort(byStart);
  roots.sort(byStart);

  const out: Span[] = [];
  const placed = new Set<string>();
  const walk = (root: WireSpan) => {
    const stack: { span: WireSpan; depth: number; parent: number }[] = [{ span: root, depth: 0, parent: -1 }];
    for (let next = stack.pop(); next; next = stack.pop()) {
      if (placed.has(next.span.spanID)) continue;
      placed.add(next.span.spanID);
      const index = out.length;
      out.push(shape(next.span, wire, startUs, next.depth, next.parent, byId));
      const below = children.get(next.span.spanID) ?? [];
      for (let i = below.length - 1; i >= 0; i -= 1)
        stack.push({ span: below[i] as WireSpan, depth: next.depth + 1, parent: index });
    }
  };
  roots.forEach(walk);
  // Spans that name each other as parents hang from no root; they are shown rather than lost.
  for (const span of [...spans].sort(byStart)) if (!placed.has(span.spanID)) walk(span);
  countBelow(out);
  return out;
}

function countBelow(spans: Span[]): void {
  for (let i = spans.length - 1; i >= 0; i -= 1) {
    const span = spans[i] as Span;
    const parent = spans[span.parent];
    if (parent) parent.below += span.below + 1;
  }
}

function shape(
  span: WireSpan,
  wire: WireTrace,
  startUs: number,
  depth: number,
  parent: number,
  byId: ReadonlyMap<string, WireSpan>,
): Span {
  const process = wire.processes[span.processID];
  const tags = span.tags ?? [];
  const named = parentId(span);
  return {
    id: span.spanID,
    service: process?.serviceName ?? 'unknown',
    cluster: clusterOf(process?.tags ?? [], tags),
    operation: span.operationName,
    startUs: span.startTime - startUs,
    durationUs: span.duration,
    depth,
    parent,
    below: 0,
    error: tags.some(
      (tag) =>
        (tag.key === 'error' && String(tag.value) === 'true') ||
        (tag.key === 'otel.status_code' && tag.value === 'ERROR'),
    ),
    kind: String(tags.find((tag) => tag.key === 'span.kind')?.value ?? ''),
    orphan: named !== undefined && !byId.has(named),
    tags,
    events: span.logs ?? [],
    process: process?.tags ?? [],
    warnings: span.warnings ?? [],
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

/** What `key=value` looks into: attributes of the span, of what sent it, and its cluster by whatever name. */
function pairsOf(span: Span): readonly KeyValue[] {
  return [...span.tags, ...span.process, { key: 'cluster', value: span.cluster }];
}

/** Spans whose service, operation, id or any attribute holds the text. */
export function findSpans(spans: readonly Span[], text: string): Set<number> {
  const wanted = text.trim().toLowerCase();
  const out = new Set<number>();
  if (wanted === '') return out;
  const pair = /^([\w.\-/]+)=(.*)$/.exec(wanted);
  spans.forEach((span, i) => {
    const hit = pair
      ? pairsOf(span).some(
          (tag) =>
            tag.key.toLowerCase() === pair[1] &&
            String(tag.value)
              .toLowerCase()
              .includes(pair[2] ?? ''),
        )
      : [span.service, span.operation, span.id].some((field) => field.toLowerCase().includes(wanted)) ||
        span.tags.some(
          (tag) => tag.key.toLowerCase().includes(wanted) || String(tag.value).toLowerCase().includes(wanted),
        );
    if (hit || (wanted === 'error' && span.error)) out.add(i);
  });
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
  return spans.map((span, i) => Math.max(0, span.durationUs - (covered[i] ?? 0)));
}

export interface Summary {
  id: string;
  service: string;
  operation: string;
  startUs: number;
  durationUs: number;
  spans: number;
  errors: number;
  services: { name: string; count: number }[];
}

/** What a row of search results says, without building the tree. */
export function summariseTrace(wire: WireTrace): Summary {
  const ids = new Set(wire.spans.map((span) => span.spanID));
  const counts = new Map<string, number>();
  let startUs = Infinity;
  let endUs = -Infinity;
  let errors = 0;
  let root: WireSpan | undefined;
  for (const span of wire.spans) {
    const service = wire.processes[span.processID]?.serviceName ?? 'unknown';
    counts.set(service, (counts.get(service) ?? 0) + 1);
    startUs = Math.min(startUs, span.startTime);
    endUs = Math.max(endUs, span.startTime + span.duration);
    if (span.tags?.some((tag) => tag.key === 'error' && String(tag.value) === 'true')) errors += 1;
    const parent = parentId(span);
    const isRoot = parent === undefined || !ids.has(parent);
    if (isRoot && (!root || span.startTime < root.startTime)) root = span;
  }
  const first = root ?? wire.spans[0];
  return {
    id: wire.traceID,
    service: first ? (wire.processes[first.processID]?.serviceName ?? 'unknown') : 'unknown',
    operation: first?.operationName ?? '',
    startUs: Number.isFinite(startUs) ? startUs : 0,
    durationUs: Number.isFinite(endUs) ? endUs - startUs : 0,
    spans: wire.spans.length,
    errors,
    services: [...counts]
      .map(([name, count]) => ({ name, count }))
      .sort((a, b) => b.count - a.count || a.name.localeCompare(b.name)),
  };
}

/**
 * `http.status_code=500 error=true msg="two words"` to the map the search API takes; null where a piece is no pair.
 */
export function parseTags(text: string): Record<string, string> | null {
  const out: Record<string, string> = {};
  const rest = text.replace(
    /([^\s=]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?=\s|$)/g,
    (_all, key: string, quoted?: string, bare?: string) => {
      out[key] = quoted !== undefined ? quoted.replace(/\\(.)/g, '$1') : (bare ?? '');
      return '';
    },
  );
  return rest.trim() === '' ? out : null;
}
