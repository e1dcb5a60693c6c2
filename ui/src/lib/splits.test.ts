import { expect, it } from 'vitest';
import { shapeSplit, SPLIT_VALUES } from './splits';

const series = (value: string, values: number[]) => ({
  labels: value === '' ? ({} as Record<string, string>) : { pod: value },
  times: values.map((_, i) => (i + 1) * 10),
  values,
});

it('stacks the values of a field, the most frequent first, and what is left of all lines', () => {
  const split = shapeSplit(
    'pod',
    [series('a', [1, 2]), series('b', [4, 4]), series('', [1, 0])],
    [series('', [7, 9])],
    10,
  );
  expect(split.bars.map((one) => [one.name, one.value, one.total])).toEqual([
    ['b', 'b', 8],
    ['a', 'a', 3],
    ['without pod', '', 1],
    ['others', null, 4],
  ]);
  expect(split.columns).toEqual([[0, 10], [4, 4], [1, 2], [1, 0], [1, 3]]); // prettier-ignore
  expect(split.total).toBe(16);
});

it('counts no line twice where the parts overtake the whole', () => {
  const split = shapeSplit('pod', [series('a', [5])], [series('', [4])], 10);
  expect(split.bars.map((one) => one.total)).toEqual([5]);
  expect(split.total).toBe(5);
});

it('draws so many values and no more', () => {
  const many = Array.from({ length: 40 }, (_, i) => series(`p${i}`, [1]));
  expect(shapeSplit('pod', many, [series('', [40])], 10).bars).toHaveLength(SPLIT_VALUES + 1);
  expect(shapeSplit('pod', [], [], 10)).toMatchObject({ bars: [], total: 0 });
});
