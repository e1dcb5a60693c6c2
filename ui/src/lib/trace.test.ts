import { describe, expect, it } from 'vitest';
import type { WireSpan, WireTrace } from '../api/jaeger';
import { findSpans } from './spanfind';
import { buildTrace, isFolded, selfTimes, visibleSpans } from './trace';

const span = (
  spanID: string,
  parent: string | null,
  startTime: number,
  duration: number,
  extra: Partial<WireSpan> = {},
): WireSpan => ({
  traceID: 't',
  spanID,
  operationName: `op ${spanID}`,
  startTime,
  duration,
  processID: 'p',
  references: parent === null ? [] : [{ refType: 'CHILD_OF', traceID: 't', spanID: parent }],
  ...extra,
});
const wire = (spans: WireSpan[]): WireTrace => ({ traceID: 't', spans, processes: { p: { serviceName: 'shop' } } });
const none = { depth: undefined, toggled: new Set<string>() };

describe('the tree of a trace', () => {
  it('puts children after their parent in order of start, whatever order they came in', () => {
    const trace = buildTrace(
      wire([span('c', 'b', 130, 5), span('b', 'a', 120, 50), span('a', null, 100, 100), span('d', 'a', 110, 5)]),
    );
    expect(trace.spans.map((one) => [one.id, one.depth, one.startUs, one.below])).toEqual([
      ['a', 0, 0, 3],
      ['d', 1, 10, 0],
      ['b', 1, 20, 1],
      ['c', 2, 30, 0],
    ]);
    expect(trace.durationUs).toBe(100);
  });

  it('has a row for a parent that is missing, with all that hangs below it', () => {
    const trace = buildTrace(
      wire([
        span('r', null, 0, 100),
        span('a', 'lost', 20, 10),
        span('b', 'a', 22, 2),
        span('c', 'lost', 50, 20),
        span('d', 'gone', 5, 1),
      ]),
    );
    expect(trace.spans.map((one) => [one.id, one.missing, one.orphan, one.depth, one.below])).toEqual([
      ['r', false, false, 0, 0],
      ['gone', true, false, 0, 1],
      ['d', false, true, 1, 0],
      ['lost', true, false, 0, 3],
      ['a', false, true, 1, 1],
      ['b', false, false, 2, 0],
      ['c', false, true, 1, 0],
    ]);
    expect(trace.spans[3]).toMatchObject({ startUs: 20, durationUs: 50, service: '' });
    expect(trace).toMatchObject({ count: 5, gaps: [1, 3], root: 0, levels: 3, services: ['shop'], clusters: [''] });
  });

  it('is named by its root, or by the first span there is where the root is missing', () => {
    expect(buildTrace(wire([span('a', 'lost', 0, 10), span('r', null, 5, 1)])).root).toBe(2);
    expect(buildTrace(wire([span('a', 'lost', 0, 10)])).root).toBe(1);
  });

  it('shows spans that are each others parents instead of losing them', () => {
    const trace = buildTrace(wire([span('a', 'b', 0, 1), span('b', 'a', 1, 1), span('s', 's', 2, 1)]));
    expect(trace.spans.map((one) => one.id).sort()).toEqual(['a', 'b', 's']);
  });

  it('counts a span sent twice once', () => {
    expect(buildTrace(wire([span('a', null, 0, 10), span('a', null, 0, 10)])).spans).toHaveLength(1);
  });

  it('may be empty', () => {
    expect(buildTrace(wire([]))).toMatchObject({ durationUs: 0, spans: [], root: 0, count: 0 });
  });

  it('takes a chain of fifty thousand without running out of stack', () => {
    const chain = Array.from({ length: 50_000 }, (_, i) => span(`s${i}`, i === 0 ? null : `s${i - 1}`, i, 100_000 - i));
    const trace = buildTrace(wire(chain));
    expect(trace.spans[49_999]?.depth).toBe(49_999);
    expect(trace.spans[0]?.below).toBe(49_999);
  });
});

describe('folding', () => {
  const { spans } = buildTrace(
    wire([span('a', null, 0, 100), span('b', 'a', 1, 50), span('c', 'b', 2, 5), span('d', 'a', 60, 5)]),
  );
  const ids = (rows: number[]) => rows.map((i) => spans[i]?.id).join('');

  it('hides what is below', () => {
    expect(ids(visibleSpans(spans, none))).toBe('abcd');
    expect(ids(visibleSpans(spans, { depth: undefined, toggled: new Set(['b']) }))).toBe('abd');
    expect(ids(visibleSpans(spans, { depth: 0, toggled: new Set() }))).toBe('a');
  });

  it('by depth is undone span by span', () => {
    expect(ids(visibleSpans(spans, { depth: 0, toggled: new Set(['a']) }))).toBe('abd');
  });

  it('does not apply to leaves', () => {
    const leaf = spans[2];
    expect(leaf && isFolded(leaf, { depth: 0, toggled: new Set() })).toBe(false);
  });

  it('gives way to a filter', () => {
    expect(ids(visibleSpans(spans, { depth: 0, toggled: new Set() }, findSpans(spans, 'op c')))).toBe('c');
  });
});

it('finds spans by text, by attribute and by error', () => {
  const { spans } = buildTrace(
    wire([
      span('a', null, 0, 9, { tags: [{ key: 'http.status_code', value: 500 }] }),
      span('b', 'a', 1, 2, { tags: [{ key: 'error', value: true }] }),
    ]),
  );
  expect([...findSpans(spans, 'http.status_code=500')]).toEqual([0]);
  expect([...findSpans(spans, 'ERROR')]).toEqual([1]);
  expect([...findSpans(spans, 'op b')]).toEqual([1]);
  expect([...findSpans(spans, ' ')]).toEqual([]);
});

it('counts overlapping children once in the time a span spent itself', () => {
  const { spans } = buildTrace(
    wire([span('a', null, 0, 100), span('b', 'a', 10, 40), span('c', 'a', 30, 40), span('d', 'a', 90, 50)]),
  );
  expect(selfTimes(spans)[0]).toBe(100 - 60 - 10);
});
