import { describe, expect, it } from 'vitest';
import type { Coverage } from '../api/coverage';
import { coveredOf, gapsOf, gapSummary, holesText, lackingAt, lackingText, union } from './gaps';

const range = { fromMs: 1_000_000, toMs: 1_600_000 };
const row = (state: Coverage['state'], more: Partial<Coverage> = {}): Coverage => ({
  cluster: 'dev-01',
  replica: '',
  signal: 'metrics',
  state,
  covered: [],
  watermark: null,
  reason: '',
  ...more,
});

describe('holes of an answer', () => {
  it('are the whole range where a source is missing, and none where it is complete', () => {
    expect(gapsOf([row('missing')], range)[0]?.holes).toEqual([range]);
    expect(gapsOf([row('complete', { covered: [[1100, 1200]] })], range)).toEqual([]);
  });

  it('are what covered ranges leave, clipped to what was asked', () => {
    const [gap] = gapsOf(
      [
        row('partial', {
          covered: [
            [900, 1100],
            [1200, null],
          ],
        }),
      ],
      range,
    );
    expect(gap?.holes).toEqual([{ fromMs: 1_100_000, toMs: 1_200_000 }]);
  });

  it('begin at the watermark of a late source even where it claims more', () => {
    const [gap] = gapsOf([row('late', { covered: [[1000, 1600]], watermark: 1500 })], range);
    expect(gap?.holes).toEqual([{ fromMs: 1_500_000, toMs: 1_600_000 }]);
  });

  it('are not made of rounding, nor of pairs that are upside down', () => {
    expect(gapsOf([row('partial', { covered: [[1000.4, 1599.7]] })], range)).toEqual([]);
    expect(coveredOf(row('partial', { covered: [[1300, 1200]] }), range)).toEqual([]);
  });

  it('of overlapping ranges become one', () => {
    expect(
      union([
        { fromMs: 5, toMs: 9 },
        { fromMs: 1, toMs: 6 },
        { fromMs: 20, toMs: 21 },
      ]),
    ).toEqual([
      { fromMs: 1, toMs: 9 },
      { fromMs: 20, toMs: 21 },
    ]);
  });
});

describe('words for holes', () => {
  const gaps = gapsOf(
    [row('missing', { replica: 'a' }), row('late', { cluster: 'prod', watermark: 1500, covered: [[0, null]] })],
    range,
  );

  it('name who lacks at an instant, and how', () => {
    expect(lackingText(lackingAt(gaps, 1_550_000))).toBe('dev-01/a, prod late');
    expect(lackingText(lackingAt(gaps, 1_200_000))).toBe('dev-01/a');
    // The last step of a chart ends after the range.
    expect(lackingText(lackingAt(gaps, 1_604_000))).toBe('dev-01/a, prod late');
    expect(lackingAt([], 1_200_000)).toEqual([]);
  });

  it('say the whole range instead of its ends, and count what they do not name', () => {
    expect(holesText([range], range, 'utc')).toBe('the whole range');
    const holes = [0, 1, 2, 3].map((i) => ({ fromMs: 1_100_000 + i * 100_000, toMs: 1_150_000 + i * 100_000 }));
    expect(holesText(holes, range, 'utc')).toBe('from 00:18:20 to 00:19:10, from 00:20:00 to 00:20:50, and 2 more');
    expect(gapSummary(gaps, range, 'utc')).toBe(
      ' Not everything is here: dev-01/a is missing over the whole range; prod is late from 00:25:00 to 00:26:40.',
    );
    expect(gapSummary([], range, 'utc')).toBe('');
  });
});
