import { describe, expect, it } from 'vitest';
import { shapeResult, type Series } from '../api/prom';
import { boundsText, makeScale, quantileOf, strength, toHeat } from './heat';

/** As a node answered `sum(rate(rpc_server_call_duration_seconds[2m]))`, shortened. */
const NATIVE = {
  resultType: 'matrix' as const,
  result: [
    {
      metric: {},
      histograms: [
        [
          1795229625,
          {
            count: '4',
            sum: '6.3',
            buckets: [
              [3, '-0.001', '0.001', '1'],
              [0, '0.5', '1', '1'],
              [0, '1', '2', '2'],
            ],
          },
        ],
      ],
    },
  ],
};

const classic = (le: string, values: number[]): Series => ({
  labels: { le, job: 'a' },
  times: values.map((_, i) => 100 + i * 15),
  values,
});

describe('a heat map', () => {
  it('of native histograms keeps their bounds and adds series up', () => {
    const { series } = shapeResult(NATIVE);
    const heat = toHeat([...series, ...series]);
    expect(heat).toMatchObject({ kind: 'native', series: 2, most: 4 });
    expect(heat?.columns[0]?.cells.map((cell) => [cell.low, cell.high, cell.count])).toEqual([
      [-0.001, 0.001, 2],
      [0.5, 1, 2],
      [1, 2, 4],
    ]);
    expect(series[0]?.values).toEqual([6.3 / 4]);
  });

  it('of classic buckets takes each from the one above it', () => {
    const heat = toHeat([classic('+Inf', [10, 12]), classic('0.5', [4, 4]), classic('1', [9, 3])]);
    expect(heat?.columns.map((one) => one.cells.map((cell) => [cell.low, cell.high, cell.count]))).toEqual([
      [
        [0, 0.5, 4],
        [0.5, 1, 5],
        [1, Infinity, 1],
      ],
      // The bucket up to 1 counted less than the one below it: nothing, not less than nothing.
      [
        [0, 0.5, 4],
        [1, Infinity, 8],
      ],
    ]);
  });

  it('is not made of other series', () => {
    expect(toHeat([{ labels: { job: 'a' }, times: [1], values: [1] }])).toBeNull();
    expect(toHeat([classic('0.5', [1]), { labels: {}, times: [1], values: [1] }])).toBeNull();
    expect(toHeat([])).toBeNull();
  });

  it('knows its quantiles', () => {
    const heat = toHeat([classic('1', [5]), classic('2', [10]), classic('+Inf', [10])]);
    const first = heat?.columns[0];
    expect(first && quantileOf(first, 0.5, 'classic')).toBeCloseTo(1);
    expect(first && quantileOf(first, 0.75, 'classic')).toBeCloseTo(1.5);
    expect(first && quantileOf(first, 0.75, 'native')).toBeCloseTo(Math.SQRT2);
    expect(quantileOf({ time: 0, cells: [], count: 0 }, 0.5, 'native')).toBeNull();
  });
});

describe('a scale', () => {
  const heat = toHeat([classic('0.01', [1]), classic('1', [5]), classic('100', [9]), classic('+Inf', [10])]);
  if (!heat) throw new Error('no heat map');

  it('spreads decades evenly and has a band for zero and for infinity', () => {
    const scale = makeScale(heat, 'log');
    expect(scale.at(0)).toBe(0);
    expect(scale.at(Infinity)).toBe(1);
    expect(scale.at(1) - scale.at(0.01)).toBeCloseTo(scale.at(100) - scale.at(1));
    expect(scale.at(100)).toBeLessThan(1);
    expect(scale.ticks.map((one) => one.value)).toEqual([0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]);
  });

  it('is even in values when it is linear', () => {
    const scale = makeScale(heat, 'linear');
    expect(scale.at(50)).toBeCloseTo((scale.at(0) + scale.at(100)) / 2);
    expect(scale.ticks.map((one) => one.value)).toEqual([0, 20, 40, 60, 80, 100]);
  });

  it('gives the bucket around zero a band, however narrow it is', () => {
    const cells = [
      { low: -3e-39, high: 3e-39, bounds: 3, count: 1 },
      { low: 0.1, high: 1, bounds: 0, count: 1 },
    ];
    const scale = makeScale({ kind: 'native', series: 1, most: 1, columns: [{ time: 1, count: 2, cells }] }, 'log');
    expect(scale.at(-3e-39)).toBe(0);
    expect(scale.at(3e-39)).toBeCloseTo(0.07);
    expect(scale.at(0.1)).toBeCloseTo(0.07);
    expect(scale.at(1)).toBeCloseTo(1);
    expect(scale.ticks[0]?.value).toBe(0);
  });

  it('mirrors what is below zero', () => {
    const cells = [-100, -10, 10].map((low) => ({ low, high: low < 0 ? low / 10 : low * 10, bounds: 0, count: 1 }));
    const both = makeScale({ kind: 'native', series: 1, most: 1, columns: [{ time: 1, count: 3, cells }] }, 'log');
    expect(both.at(-100)).toBe(0);
    expect(both.at(-1)).toBeLessThan(both.at(10));
    expect(both.at(100)).toBeCloseTo(1);
  });

  it('survives a histogram of one value', () => {
    const one = { kind: 'native' as const, series: 1, most: 1 };
    const cells = [{ low: 5, high: 5, bounds: 3, count: 1 }];
    for (const kind of ['log', 'linear'] as const) {
      const scale = makeScale({ ...one, columns: [{ time: 1, count: 1, cells }] }, kind);
      expect(Number.isFinite(scale.at(5))).toBe(true);
    }
  });
});

describe('a cell', () => {
  it('says which of its bounds belong to it', () => {
    const cell = (bounds: number, low: number, high: number) => boundsText({ bounds, low, high, count: 1 }, String);
    expect(cell(0, 1, 2)).toBe('(1, 2]');
    expect(cell(1, -2, -1)).toBe('[-2, -1)');
    expect(cell(3, -1, 1)).toBe('[-1, 1]');
    expect(cell(0, 1, Infinity)).toBe('(1, Infinity)');
  });

  it('stays visible when it is rare', () => {
    expect(strength(1, 100)).toBe(0.1);
    expect(strength(0, 0)).toBe(0);
  });
});
