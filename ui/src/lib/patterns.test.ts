import { describe, expect, it } from 'vitest';
import { isUsable, minePatterns, patternOf, patternPieces, shapePatterns } from './patterns';

const line = (ms: number, text: string, level = '') => ({
  ns: `${ms}000000`,
  ms,
  line: text,
  labels: level ? { level } : ({} as Record<string, string>),
});

describe('a pattern of a line', () => {
  it('keeps words and leaves out what varies', () => {
    expect(patternOf('GET /orders/17 took 12ms')).toBe('GET <_> took <_>');
    expect(patternOf('level=info msg="request 5 done" ms=12')).toBe('level=info msg="<_>" ms=<_>');
    expect(patternOf('{"level":"info","user":37169,"took_ms":1.5,"msg":"a b"}')).toBe(
      '{"level":"info","user":<_>,"took_ms":<_>,"msg":"<_>"}',
    );
    expect(patternOf('user 1 at 10.0.0.1:80 of 5')).toBe('user <_> at <_> of <_>');
    expect(patternOf('plain words')).toBe('plain words');
  });

  it('never has two gaps side by side, which LogQL refuses', () => {
    for (const text of ['1,2,3', '5:6', 'a=1 2 3', '10.1-20.2', '{"a":1,"b":[1,2]}']) {
      expect(patternOf(text), text).not.toContain('<_><_>');
    }
  });

  it('is bounded', () => {
    expect(patternOf('word 1 '.repeat(5000)).length).toBeLessThan(600);
  });
});

it('groups lines, the most frequent first, with their trend', () => {
  const lines = [line(100, 'took 1 s'), line(200, 'took 2 s'), line(900, 'broke', 'error')];
  const rows = shapePatterns(minePatterns(lines), { fromMs: 0, toMs: 1000 });
  expect(rows.map((one) => [one.pattern, one.level, one.count, one.isNew])).toEqual([
    ['took <_> s', '', 2, false],
    ['broke', 'error', 1, true],
  ]);
  expect(shapePatterns(minePatterns(lines), { fromMs: 0, toMs: 1000 }, true).some((one) => one.isNew)).toBe(false);
  expect(rows[0]?.share).toBeCloseTo(2 / 3);
  expect(rows[0]?.trend.reduce((sum: number, n) => sum + (n ?? 0), 0)).toBe(2);
});

it('adds up what several sources say of one pattern', () => {
  const of = (at: number) => ({ pattern: 'a <_>', level: '', samples: [[at, 3]] as [number, number][] });
  expect(shapePatterns([of(0), of(0.5)], { fromMs: 0, toMs: 1000 })).toMatchObject([{ count: 6, share: 1 }]);
  expect(shapePatterns([], { fromMs: 0, toMs: 1000 })).toEqual([]);
});

it('knows which patterns can be searched for', () => {
  expect(['a <_>', '<_>', '<_> <_>', 'a<_><_>'].map(isUsable)).toEqual([true, false, false, false]);
  expect(patternPieces('a <_> b')).toEqual([
    { text: 'a ', varies: false },
    { text: '<_>', varies: true },
    { text: ' b', varies: false },
  ]);
});
