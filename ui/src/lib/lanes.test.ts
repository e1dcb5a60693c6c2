import { describe, expect, it } from 'vitest';
import { readCoverage } from '../api/coverage';
import { clusterOf, laneGaps, lanesOf } from './lanes';
import { findSpans } from './spanfind';
import { buildTrace } from './trace';

const span = (id: string, processID: string, startTime: number, duration: number, error = false) => ({
  traceID: 't',
  spanID: id,
  operationName: id,
  startTime,
  duration,
  processID,
  tags: error ? [{ key: 'error', value: true }] : [],
});

const trace = buildTrace({
  traceID: 't',
  spans: [span('a', 'p1', 0, 100), span('b', 'p2', 10, 20), span('c', 'p2', 25, 10, true), span('d', 'p2', 60, 5)],
  processes: {
    p1: { serviceName: 'shop', tags: [{ key: 'k8s.cluster.name', value: 'ops-01' }] },
    p2: { serviceName: 'cart', tags: [{ key: 'cluster', value: 'dev-01' }] },
  },
});

describe('lanes of a trace', () => {
  it('are a row per cluster in the order they enter it, with the time each was busy', () => {
    expect(lanesOf(trace)).toEqual([
      { cluster: 'ops-01', spans: 1, errors: 0, busy: [{ from: 0, to: 100 }], busyUs: 100 },
      {
        cluster: 'dev-01',
        spans: 3,
        errors: 1,
        busy: [
          { from: 10, to: 35 },
          { from: 60, to: 65 },
        ],
        busyUs: 30,
      },
    ]);
  });

  it('are told by the resource before the span, and by nothing where neither says', () => {
    const named = (value: string) => [{ key: 'k8s.cluster.name', value }];
    expect(clusterOf(named('a'), named('b'))).toBe('a');
    expect(clusterOf([], named('b'))).toBe('b');
    expect(clusterOf([], [{ key: 'cluster', value: 7 }])).toBe('');
  });

  it('are found by their name as any attribute is', () => {
    expect([...findSpans(trace.spans, 'cluster=dev-01')]).toEqual([1, 2, 3]);
    expect(findSpans(trace.spans, 'k8s.cluster.name=ops').size).toBe(1);
  });

  it('have a gap for whoever did not answer whole', () => {
    const coverage = readCoverage({
      coverage: [
        { cluster: 'a', state: 'complete' },
        { cluster: 'b', replica: 'x', state: 'missing', reason: 'refused' },
      ],
    });
    expect(laneGaps(coverage)).toEqual([{ cluster: 'b', name: 'b/x', state: 'missing', reason: 'refused' }]);
  });
});
