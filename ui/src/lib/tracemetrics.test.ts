import { expect, it } from 'vitest';
import { quantileOf } from './heat';
import { durationHeat, redOf, shapeTraceSeries, sumSeries, totalColumn } from './tracemetrics';

const bucket = (le: number, samples: [number, number][]) =>
  shapeTraceSeries({
    labels: [{ key: '__bucket', value: { doubleValue: le } }],
    samples: samples.map(([t, value]) => ({ timestampMs: String(t * 1e3), ...(value === 0 ? {} : { value }) })),
  });

it('samples of zero may be left out, and come in order', () => {
  expect(
    shapeTraceSeries({ samples: [{ timestampMs: '2000' }, { timestampMs: '1000', value: 3 }], labels: null }),
  ).toEqual({
    labels: {},
    times: [1, 2],
    values: [3, 0],
  });
});

it('buckets of powers of two become a heat map', () => {
  const heat = durationHeat([
    bucket(0.5, [[10, 4], [20, 0]]), // prettier-ignore
    bucket(1, [[10, 2], [20, 6]]), // prettier-ignore
  ]);
  expect(heat?.columns.map((one) => [one.time, one.count, one.cells.map((cell) => [cell.low, cell.high])])).toEqual([
    [10, 6, [[0.25, 0.5], [0.5, 1]]], // prettier-ignore
    [20, 6, [[0.5, 1]]],
  ]);
  expect(heat?.most).toBe(6);
  const whole = heat && totalColumn(heat);
  expect(whole?.count).toBe(12);
  expect(whole && quantileOf(whole, 1, 'native')).toBe(1);
});

it('other series are no heat map', () => {
  expect(durationHeat([shapeTraceSeries({ labels: [{ key: 'status', value: { stringValue: 'ok' } }] })])).toBeNull();
  expect(durationHeat([])).toBeNull();
});

it('rates by status give counts and errors of the range', () => {
  const rate = (status: string, values: number[]) => ({ labels: { status }, times: values.map((_, i) => i), values });
  const series = [rate('error', [1, 0]), rate('ok', [2, 3]), rate('unset', [0, 4])];
  expect(redOf(series, 10)).toEqual({ count: 100, errors: 10 });
  expect(sumSeries(series, {}).values).toEqual([3, 7]);
});
