import { describe, expect, it } from 'vitest';
import type { KeyValue, WireSpan, WireTrace } from '../api/jaeger';
import { readTrace, sentId } from './spandata';

const wire = (spans: Partial<WireSpan>[], processTags: KeyValue[] = []): WireTrace => ({
  traceID: 't',
  processes: { p: { serviceName: 'shop', tags: processTags }, q: { serviceName: 'cart' } },
  spans: spans.map((span, i) => ({
    traceID: 't',
    spanID: `s${i}`,
    operationName: 'op',
    startTime: i,
    duration: 1,
    processID: 'p',
    ...span,
  })),
});
const kind = (value: string) => [{ key: 'span.kind', value }];
const ref = (spanID: string, refType = 'CHILD_OF', traceID = 't') => ({ refType, traceID, spanID });

describe('spans as they were sent', () => {
  it('hold an attribute that repeats once', () => {
    const { spans } = readTrace(wire([{ tags: kind('server') }, { tags: kind('server') }, { tags: kind('client') }]));
    expect(spans[0]?.tags[0]).toBe(spans[1]?.tags[0]);
    expect(spans[0]?.tags[0]).not.toBe(spans[2]?.tags[0]);
    expect(spans.map((span) => span.kind)).toEqual(['server', 'server', 'client']);
  });

  it('keep apart values that read the same and are of another type', () => {
    const { spans } = readTrace(wire([{ tags: [{ key: 'n', value: 1 }] }, { tags: [{ key: 'n', value: '1' }] }]));
    expect(spans.map((span) => span.tags[0]?.value)).toEqual([1, '1']);
  });

  it('hang from what they are a child of, else from what they follow, and link to the rest', () => {
    const { spans } = readTrace(
      wire([
        { references: [ref('x', 'FOLLOWS_FROM'), ref('s1'), ref('y', 'CHILD_OF', 'other')] },
        { references: [ref('x', 'FOLLOWS_FROM')] },
        { references: [ref('y', 'FOLLOWS_FROM', 'other')] },
        { references: [ref('s3')] },
      ]),
    );
    expect(spans.map((span) => [span.parentId, span.follows, span.links.map((link) => link.spanId)])).toEqual([
      ['s1', false, ['x', 'y']],
      ['x', true, []],
      ['', false, ['y']],
      ['', false, []],
    ]);
    expect(spans[2]?.links[0]).toEqual({ traceId: 'other', spanId: 'y', kind: 'FOLLOWS_FROM' });
  });

  it('that came twice count once', () => {
    expect(readTrace(wire([{ spanID: 'a' }, { spanID: 'a' }])).spans).toHaveLength(1);
  });

  it('that are two sides of a call under one id become parent and child', () => {
    for (const flip of [false, true]) {
      const sides = [
        { spanID: 'a', tags: kind('client'), processID: 'p', references: [ref('r')] },
        { spanID: 'a', tags: kind('server'), processID: 'q', references: [ref('r')] },
      ];
      const { spans } = readTrace(
        wire([{ spanID: 'r' }, ...(flip ? sides.reverse() : sides), { spanID: 'b', references: [ref('a')] }]),
      );
      const found = spans.map((span) => [span.id, span.parentId, span.kind, span.process.service]);
      expect(found).toContainEqual(['a', 'r', 'client', 'shop']);
      expect(found).toContainEqual(['a-server', 'a', 'server', 'cart']);
      expect(found).toContainEqual(['b', 'a-server', '', 'shop']);
      expect(spans).toHaveLength(4);
    }
    expect(sentId('a-server')).toBe('a');
    expect(sentId('a')).toBe('a');
  });

  it('know the host whose clock they were taken by', () => {
    const host = (tags: KeyValue[]) => readTrace(wire([{}], tags)).spans[0]?.process.host;
    expect(host([{ key: 'host.name', value: 'web-1' }])).toBe('web-1');
    expect(
      host([
        { key: 'host.name', value: 'web-1' },
        { key: 'k8s.node.name', value: 'node-3' },
        { key: 'k8s.cluster.name', value: 'prod-01' },
      ]),
    ).toBe('prod-01/node-3');
    expect(host([])).toBe('process p');
  });

  it('of a process that is not told are of nobody known', () => {
    expect(readTrace(wire([{ processID: 'gone' }])).spans[0]?.process).toMatchObject({ service: 'unknown', host: '' });
  });
});
