import { describe, expect, it } from 'vitest';
import type { Series } from '../api/prom';
import { differenceCondition, readDifferences } from './differences';

const one = (kind: string, name: string, value: string, values: number[]): Series => ({
  labels: { __meta_type: kind, [name]: value },
  times: values.map((_, i) => i),
  values,
});

/** 10 spans are selected, 90 are not; the region is set on most of them. */
const SERIES: Series[] = [
  one('selection', 'status', 'error', [4, 5]),
  one('selection', 'status', 'ok', [1]),
  one('baseline', 'status', 'error', [9]),
  one('baseline', 'status', 'ok', [81]),
  one('selection_total', 'status', 'nil', [10]),
  one('baseline_total', 'status', 'nil', [90]),
  one('selection', 'span.region', 'eu', [5]),
  one('baseline', 'span.region', 'eu', [9]),
  one('baseline', 'span.region', 'us', [63]),
  one('selection_total', 'span.region', 'nil', [5]),
  one('baseline_total', 'span.region', 'nil', [72]),
  one('selection', 'name', 'GET', [10]),
  one('baseline', 'name', 'GET', [90]),
  { labels: { __meta_type: 'baseline', __meta_error: '__too_many_values__', 'span.id': 'x' }, times: [], values: [] },
];

describe('differences', () => {
  const read = readDifferences(SERIES);
  it('are shares of all spans, the most telling attribute first', () => {
    expect([read.selected, read.others]).toEqual([10, 90]);
    expect(read.attributes.map((attribute) => attribute.name)).toEqual(['status', 'span.region']);
    expect(read.attributes[0]?.score).toBeCloseTo(0.8);
    expect(read.attributes[0]?.values[0]).toMatchObject({ value: 'error', selectedShare: 0.9, othersShare: 0.1 });
  });
  it('count those that lack the attribute', () => {
    const region = read.attributes[1];
    expect(region?.score).toBeCloseTo(0.7);
    expect(region?.values.find((value) => value.value === null)).toMatchObject({ selected: 5, others: 18 });
  });
  it('name what was not counted', () => {
    expect(read.uncounted).toEqual(['span.id']);
  });
  it('of nothing are none', () => {
    expect(readDifferences([])).toEqual({ selected: 0, others: 0, attributes: [], uncounted: [] });
  });
});

it('a value becomes a condition of its type', () => {
  expect(differenceCondition('status', 'error', '=')).toBe('status = error');
  expect(differenceCondition('span.http.status_code', '500', '!=')).toBe('span.http.status_code != 500');
  expect(differenceCondition('name', 'a "b"', '=')).toBe('name = "a \\"b\\""');
  expect(differenceCondition('span.x', null, '=')).toBe('span.x = nil');
});
