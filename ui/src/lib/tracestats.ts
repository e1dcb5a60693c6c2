/** What the spans of a trace add up to, by service and operation or by any attribute. */
import { valueText } from './spanfind';
import type { Span } from './trace';

export interface StatRow {
  name: string;
  /** Where rows are operations, the service apart. */
  service: string;
  count: number;
  errors: number;
  /** Durations added up; spans that ran at the same time count each. Microseconds, as all times here. */
  totalUs: number;
  /** The part of it that was not spent in children. */
  selfUs: number;
  /** The part of the critical path. */
  pathUs: number;
  meanUs: number;
  minUs: number;
  p50Us: number;
  p95Us: number;
  p99Us: number;
  maxUs: number;
  /** Index of the span that took longest. */
  slowest: number;
}

export type StatKey = Exclude<keyof StatRow, 'slowest'>;

export interface Measured {
  spans: readonly Span[];
  self: ArrayLike<number>;
  /** Time on the critical path. */
  path: ArrayLike<number>;
}

/** `service`, `operation`, `cluster`, `host`, `kind`, or the name of an attribute. */
export function groupKey(by: string): (span: Span) => { name: string; service: string } | null {
  const plain = (name: string) => (name === '' ? null : { name, service: '' });
  switch (by) {
    case 'operation':
      return (span) => ({ name: span.operation, service: span.service });
    case 'service':
      return (span) => plain(span.service);
    case 'cluster':
      return (span) => plain(span.cluster);
    case 'host':
      return (span) => plain(span.host);
    case 'kind':
      return (span) => plain(span.kind);
    default:
      return (span) => {
        const tag = span.tags.find((one) => one.key === by) ?? span.process.find((one) => one.key === by);
        return tag ? plain(valueText(tag.value)) : null;
      };
  }
}

export interface Stats {
  rows: StatRow[];
  /** Spans that the grouping says nothing of. */
  without: number;
}

interface Group extends StatRow {
  durations: number[];
}

export function traceStats({ spans, self, path }: Measured, by: string, only?: ReadonlySet<number>): Stats {
  const keyOf = groupKey(by);
  const groups = new Map<string, Group>();
  let without = 0;
  for (const [i, span] of spans.entries()) {
    if (span.missing || (only && !only.has(i))) continue;
    const key = keyOf(span);
    if (!key) {
      without += 1;
      continue;
    }
    const id = `${key.service}\u0000${key.name}`;
    let group = groups.get(id);
    if (!group) groups.set(id, (group = emptyGroup(key.name, key.service, i)));
    group.durations.push(span.durationUs);
    if (span.error) group.errors += 1;
    group.totalUs += span.durationUs;
    group.selfUs += self[i] ?? 0;
    group.pathUs += path[i] ?? 0;
    if (span.durationUs > (spans[group.slowest]?.durationUs ?? 0)) group.slowest = i;
  }
  return { rows: [...groups.values()].map(finish).sort((a, b) => b.selfUs - a.selfUs || b.count - a.count), without };
}

function emptyGroup(name: string, service: string, slowest: number): Group {
  const zero = { count: 0, errors: 0, totalUs: 0, selfUs: 0, pathUs: 0, meanUs: 0, minUs: 0, maxUs: 0 };
  return { name, service, slowest, durations: [], p50Us: 0, p95Us: 0, p99Us: 0, ...zero };
}

function finish({ durations, ...row }: Group): StatRow {
  const sorted = Float64Array.from(durations).sort();
  return {
    ...row,
    count: sorted.length,
    meanUs: row.totalUs / Math.max(1, sorted.length),
    minUs: sorted[0] ?? 0,
    p50Us: percentile(sorted, 0.5),
    p95Us: percentile(sorted, 0.95),
    p99Us: percentile(sorted, 0.99),
    maxUs: sorted[sorted.length - 1] ?? 0,
  };
}

/** The nearest rank: a duration that was measured, never one between two. 0 for none. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return 0;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? 0;
}

/** The rows that are texts, in which order they stand as they are read. */
export function sortStats(rows: readonly StatRow[], key: StatKey): StatRow[] {
  if (key === 'name' || key === 'service')
    return [...rows].sort((a, b) => a.service.localeCompare(b.service) || a.name.localeCompare(b.name));
  return [...rows].sort((a, b) => b[key] - a[key] || a.name.localeCompare(b.name));
}
