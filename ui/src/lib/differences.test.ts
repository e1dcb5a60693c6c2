import { describe, expect, it } from 'vitest';
import { readDifferences, type TypedValue } from './differences';

const one = (kind: string, name: string, value: string | number, sum: number): TypedValue => ({
  labels: [
    { key: '__meta_type', value: { stringValue: kind } },
    { key: name, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } },
  ],
  value: sum,
});

/** 10 spans are selected, 90 are not; the region is set on most of them. */
const SERIES: TypedValue[] = [
  one('selection', 'status', 'error', 9),
  one('selection', 'status', 'ok', 1),
  one('baseline', 'status', 'error', 9),
  one('baseline', 'status', 'ok', 81),
  one('selection_total', 'status', 'nil', 10),
  one('baseline_total', 'status', 'nil', 90),
  one('selection', 'span.region', 'eu', 5),
  one('baseline', 'span.region', 'eu', 9),
  one('baseline', 'span.region', 'us', 63),
  one('selection_total', 'span.region', 'nil', 5),
  one('baseline_total', 'span.region', 'nil', 72),
  one('selection', 'name', 'GET', 10),
  one('baseline', 'name', 'GET', 90),
  {
    labels: [
      { key: '__meta_error', value: { stringValue: '__too_many_values__' } },
      { key: 'span.region', value: { stringValue: 'nil' } },
    ],
    value: 0,
  },
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
  it('say where a list is cut', () => {
    expect(read.attributes.map((attribute) => attribute.isCut)).toEqual([false, true]);
  });
  it('of nothing are none', () => {
    expect(readDifferences([])).toEqual({ selected: 0, others: 0, attributes: [] });
  });
});

it('a value is written as a query writes its type', () => {
  const literals = (name: string, value: string | number) =>
    readDifferences([one('selection', name, value, 1)]).attributes[0]?.values.map((value) => value.literal);
  expect(literals('status', 'error')).toEqual(['error']);
  expect(literals('span.http.status_code', 500)).toEqual(['500']);
  expect(literals('span.user.id', '500')).toEqual(['"500"']);
  expect(literals('name', 'a "b"')).toEqual(['"a \\"b\\""']);
  expect(literals('span.x', 'nil')).toEqual(['nil']);
});
