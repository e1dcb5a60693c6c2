import { expect, it } from 'vitest';
import { areaOf, areaOfCell, areaQuery, areaText, compareStage, countInArea, joinAreas, parseArea } from './area';
import { makeScale } from './heat';
import { durationHeat } from './tracemetrics';

it('an area is a text and back', () => {
  const area = { fromMs: 1_700_000_000_000, toMs: 1_700_000_060_000, lowNs: 250_000_000, highNs: 1_073_741_824 };
  expect(areaText(area)).toBe('1700000000000,1700000060000,250000000,1073741824');
  expect(parseArea(areaText(area))).toEqual(area);
  const open = { ...area, lowNs: 0, highNs: Infinity };
  expect(parseArea(areaText(open))).toEqual(open);
  for (const text of [undefined, '', 'a', '1700000000000,1600000000000,,', '1700000000000,1700000000001,5,5']) {
    expect(parseArea(text)).toBeNull();
  }
});

it('an area narrows a search and is compared with the rest', () => {
  const area = { fromMs: 1_700_000_000_000, toMs: 1_700_000_060_000, lowNs: 250_000_000, highNs: Infinity };
  expect(areaQuery('{ .a = 1 } >> {}', area)).toBe('{ .a = 1 } >> {} | { duration > 250000000ns }');
  expect(areaQuery('{}', { ...area, lowNs: 0 })).toBe('{}');
  expect(compareStage(area)).toBe('compare({ duration > 250000000ns }, 10, 1700000000000000000, 1700000060000000000)');
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
  expect(areaOf(heat, scale, drawn, 10)).toEqual({ fromMs: 990_000, toMs: 1_010_000, lowNs: 5e8, highNs: 1e9 });
  expect(countInArea(heat, { fromMs: 990_000, toMs: 1_010_000, lowNs: 5e8, highNs: 1e9 }, 10)).toBe(9);
  const open = areaOf(heat, scale, { ...drawn, lowAt: 0, highAt: 1 }, 10);
  expect(open).toMatchObject({ lowNs: 0, highNs: Infinity });
  const [first, , third] = heat.columns;
  const [a, b] = [first && areaOfCell(first, 0, 10), third && areaOfCell(third, 2, 10)];
  if (!a || !b) throw new Error('no cells');
  expect(joinAreas(a, b)).toEqual({ fromMs: 990_000, toMs: 1_020_000, lowNs: 25e7, highNs: 2e9 });
});
