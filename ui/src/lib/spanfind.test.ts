import { describe, expect, it } from 'vitest';
import { findSpans, matchPlace, nextMatch, reveal } from './spanfind';
import { buildTrace, visibleSpans } from './trace';
import { traceOf } from './tracetext';

const { spans } = buildTrace(
  traceOf(`
  a 0..100 service=web host=n1 op=GET
    b 10..40 service=shop error http.status_code=500
      c 20..30 service=db kind=client db.statement=SELECT
    d 50..60 service=shop
  e 70..80 parent=lost`),
);
const found = (text: string) => [...findSpans(spans, text)].map((i) => spans[i]?.id).join('');

describe('search inside a trace', () => {
  it.each([
    ['shop', 'bd'],
    ['SELECT', 'c'],
    ['statement', 'c'],
    ['http.status_code=500', 'b'],
    ['http.status_code=', 'b'],
    ['service=shop', 'bd'],
    ['host=n1', 'a'],
    ['kind=client', 'c'],
    ['host.name=n1', 'a'],
    ['ERROR', 'b'],
    ['missing', 'lost'],
    ['id=lost', ''],
    ['(', ''],
    ['  ', ''],
  ])('%s', (text, ids) => expect(found(text)).toBe(ids));

  it('looks into events, and into values that are no text', () => {
    const wire = traceOf('a 0..10\nb 0..10');
    const [first, second] = wire.spans;
    if (first) first.logs = [{ timestamp: 1, fields: [{ key: 'exception.type', value: 'Timeout' }] }];
    if (second) second.tags = [{ key: 'list', value: ['x', 'needle'] }];
    const trace = buildTrace(wire);
    expect([...findSpans(trace.spans, 'timeout')]).toEqual([0]);
    expect([...findSpans(trace.spans, 'needle')]).toEqual([1]);
  });

  it('goes from match to match and round the end', () => {
    const matches = new Set([1, 4, 7]);
    expect([-1, 1, 5, 7].map((from) => nextMatch(matches, from, 1))).toEqual([1, 4, 7, 1]);
    expect([-1, 1, 5, 7].map((from) => nextMatch(matches, from, -1))).toEqual([7, 7, 4, 4]);
    expect(nextMatch(new Set(), 3, 1)).toBe(-1);
    expect([4, 5].map((at) => matchPlace(matches, at))).toEqual([2, 0]);
  });

  it('opens what hides a match, and nothing else', () => {
    const all = { depth: 0, toggled: new Set<string>() };
    const shown = reveal(spans, all, 2);
    expect(visibleSpans(spans, shown).map((i) => spans[i]?.id)).toEqual(['a', 'b', 'c', 'd', 'lost']);
    expect(reveal(spans, shown, 2)).toBe(shown);
    const one = { depth: undefined, toggled: new Set(['a']) };
    expect([...reveal(spans, one, 3).toggled]).toEqual([]);
  });
});
