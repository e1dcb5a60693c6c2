import { describe, expect, it } from 'vitest';
import { shapeResult } from '../api/prom';
import { capSeries, onRange, seriesName, shortName, stack, summarise, toColumns, toCsv, varyingLabels } from './series';

const series = (labels: Record<string, string>, times: number[], values: number[]) => ({ labels, times, values });

describe('series on one grid', () => {
  it('leave a gap where a series has no sample', () => {
    const columns = toColumns([series({ a: '1' }, [0, 10, 30], [1, 2, 4]), series({ a: '2' }, [20], [9])], 10);
    expect(columns).toEqual([
      [0, 10, 20, 30],
      [1, 2, null, 4],
      [null, null, 9, null],
    ]);
  });

  it('draw no NaN and no infinity', () => {
    expect(toColumns([series({}, [0, 10, 20], [1, Number.NaN, Infinity])], 10)[1]).toEqual([1, null, null]);
  });

  it('may be empty', () => {
    expect(toColumns([], 10)).toEqual([[]]);
    expect(toColumns([series({}, [], [])], 10)).toEqual([[], []]);
  });

  it('keep the highest means under a cap, in their order', () => {
    const many = Array.from({ length: 60 }, (_, i) => series({ i: String(i) }, [0], [i % 30]));
    const { shown, total } = capSeries(many, 4);
    expect(total).toBe(60);
    expect(shown.map((one) => one.labels.i)).toEqual(['28', '29', '58', '59']);
  });
});

describe('names', () => {
  it('sort labels and keep the metric in front', () => {
    expect(seriesName({ b: '2', __name__: 'up', a: '1' })).toBe('up{a="1", b="2"}');
    expect(seriesName({})).toBe('{}');
    expect(seriesName({ __name__: 'up' })).toBe('up');
  });

  it('in a legend hold only the labels that differ', () => {
    const rows = [{ labels: { job: 'a', host: 'x' } }, { labels: { job: 'a', host: 'y' } }];
    expect(varyingLabels(rows)).toEqual(['host']);
    expect(shortName(rows[0]?.labels ?? {}, ['host'])).toBe('{host="x"}');
  });
});

describe('results', () => {
  it('of every kind become series', () => {
    expect(shapeResult({ resultType: 'scalar', result: [5, '1.5'] }).series[0]?.values).toEqual([1.5]);
    const vector = shapeResult({ resultType: 'vector', result: [{ metric: { a: '1' }, value: [5, '+Inf'] }] });
    expect(vector.series[0]?.values).toEqual([Infinity]);
    const matrix = shapeResult({
      resultType: 'matrix',
      result: [
        {
          metric: {},
          values: [
            [1, '2'],
            [2, '3'],
          ],
        },
      ],
    });
    expect(matrix.samples).toBe(2);
  });

  it('show the mean of a native histogram', () => {
    const result = [{ metric: {}, histograms: [[1, { count: '4', sum: '10' }]] }];
    expect(shapeResult({ resultType: 'matrix', result }).series[0]?.values).toEqual([2.5]);
  });
});

it('stacks bars on each other', () => {
  expect(
    stack([
      [0, 1],
      [1, 2],
      [10, null],
    ]),
  ).toEqual([
    [0, 1],
    [1, 2],
    [11, 2],
  ]);
});

it('summarises what is there', () => {
  expect(summarise([null, 2, 4, null])).toEqual({ min: 2, max: 4, mean: 3, last: 4 });
  expect(summarise([null])).toBeNull();
});

it('writes CSV that a quote, comma or line break does not break', () => {
  expect(
    toCsv(
      ['a', 'b'],
      [
        ['x,y', null],
        ['say "hi"', 2],
      ],
    ),
  ).toBe('a,b\r\n"x,y",\r\n"say ""hi""",2');
});

describe('a series on the grid of a range', () => {
  it('is empty where it has no samples, at both ends too', () => {
    const one = { labels: {}, times: [30, 40], values: [1, 2] };
    expect(onRange(one, 12, 58, 10)).toEqual([null, null, 1, 2, null, null]);
    expect(onRange({ ...one, times: [], values: [] }, 12, 31, 10)).toEqual([null, null, null, null]);
  });
});
