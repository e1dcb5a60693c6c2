import { describe, expect, it } from 'vitest';
import { shapeExemplars } from '../api/exemplars';
import { describeExemplar, thin } from './exemplars';

/** The answer that Prometheus documents for `/api/v1/query_exemplars`. */
const DOCUMENTED: Parameters<typeof shapeExemplars>[0] = [
  {
    seriesLabels: {
      __name__: 'test_exemplar_metric_total',
      instance: 'localhost:8090',
      job: 'prometheus',
      service: 'bar',
    },
    exemplars: [{ labels: { trace_id: 'EpTxMJ40fUus7aGY' }, value: '6', timestamp: 1600096945.479 }],
  },
  {
    seriesLabels: {
      __name__: 'test_exemplar_metric_total',
      instance: 'localhost:8090',
      job: 'prometheus',
      service: 'foo',
    },
    exemplars: [
      { labels: { trace_id: '4bf92f3577b34da6a3ce929d0e0e4736', user: 'a' }, value: '19', timestamp: 1600096955.479 },
      { labels: { traceID: 'A3CE929D0E0E4736' }, value: '20', timestamp: 1600096965.489 },
    ],
  },
];

describe('exemplars', () => {
  const all = shapeExemplars(DOCUMENTED);

  it('are read with the trace they name, where that is one', () => {
    expect(all.map((one) => [one.value, one.traceId])).toEqual([
      [6, null],
      [19, '4bf92f3577b34da6a3ce929d0e0e4736'],
      [20, 'a3ce929d0e0e4736'],
    ]);
  });

  it('say their own labels first, then what tells their series apart', () => {
    expect(all[1] && describeExemplar(all[1], ['__name__', 'service'])).toEqual([
      ['trace_id', '4bf92f3577b34da6a3ce929d0e0e4736'],
      ['user', 'a'],
      ['service', 'foo'],
    ]);
  });

  it('are thinned evenly, and the highest stay', () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({
      series: {},
      labels: {},
      traceId: null,
      time: i,
      value: i === 3333 ? 1e6 : i % 97,
    }));
    const kept = thin(many, 0, 5000, 90);
    expect(kept).toHaveLength(90);
    expect(kept.some((one) => one.value === 1e6)).toBe(true);
    expect(kept.map((one) => one.time)).toEqual([...kept.map((one) => one.time)].sort((a, b) => a - b));
    for (let slice = 0; slice < 5; slice += 1) {
      expect(kept.filter((one) => Math.floor(one.time / 1000) === slice).length).toBeGreaterThan(10);
    }
    expect(thin(many, 100, 110)).toHaveLength(11);
  });
});
