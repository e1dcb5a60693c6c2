import { expect, it } from 'vitest';
import { areaQuery, areaText, compareStage, parseArea } from './area';

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
