import { expect, it } from 'vitest';
import { areaOf, areaOfCell, areaQuery, areaText, compareStage, countInArea, joinAreas, parseArea } from './area';
import { makeScale } from './heat';
import { durationHeat } from './tracemetrics';

it('an area is a text and back', () => {
  const area = { fromMs: 1_700_000_000_000, toMs: 1_700_000_060_000, lowUs: 250_000, highUs: 1_000_000 };
  expect(areaText(area)).toBe('1700000000000,1700000060000,250000,1000000');
  expect(parseArea(areaText(area))).toEqual(area);
  const open = { ...area, lowUs: 0, highUs: Infinity };
  expect(parseArea(areaText(open))).toEqual(open);
  for (const text of [undefined, '', 'a', '1700000000000,1600000000000,,', '1700000000000,1700000000001,5,5']) {
    expect(parseArea(text)).toBeNull();
  }
});

it('an area narrows a search and is compared with the rest', () => {
  const area = { fromMs: 1_700_000_000_000, toMs: 1_700_000_060_000, lowUs: 250_000, highUs: Infinity };
  expect(areaQuery('{ .a = 1 } >> {}', area)).toBe('{ .a = 1 } >> {} | { duration >= 250000us }');
  expect(areaQuery('{}', { ...area, lowUs: 0 })).toBe('{}');
  expect(compareStage(area)).toBe('compare({ duration >= 250000us }, 10, 1700000000000000000, 1700000060000000000)');
});

it('a rectangle takes the whole cells that it touches', () => {
  const row = (high: number, counts: number[]) => ({
    labels: { __bucket: String(high) },
    times: counts.map((_, i) => 1000 + i * 10),
    values: counts,
  });
  const heat = durationHeat([row(0.5, [1, 2, 3]), row(1, [4, 5, 6]), row(2, [7, 8, 9])]);
  if (!heat) throw new Error('no heat');
  const scale = makeScale(heat, 'log');
  const at = (value: number) => scale.at(value);
  const drawn = { fromS: 993, toS: 1001, lowAt: at(0.6), highAt: at(0.9) };
  expect(areaOf(heat, scale, drawn, 10)).toEqual({ fromMs: 990_000, toMs: 1_010_000, lowUs: 5e5, highUs: 1e6 });
  expect(countInArea(heat, { fromMs: 990_000, toMs: 1_010_000, lowUs: 5e5, highUs: 1e6 }, 10)).toBe(9);
  const open = areaOf(heat, scale, { ...drawn, lowAt: 0, highAt: 1 }, 10);
  expect(open).toMatchObject({ lowUs: 0, highUs: Infinity });
  const [first, , third] = heat.columns;
  const [a, b] = [first && areaOfCell(first, 0, 10), third && areaOfCell(third, 2, 10)];
  if (!a || !b) throw new Error('no cells');
  expect(joinAreas(a, b)).toEqual({ fromMs: 990_000, toMs: 1_020_000, lowUs: 25e4, highUs: 2e6 });
});
