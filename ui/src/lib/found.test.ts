import { describe, expect, it } from 'vitest';
import { foundCsv, foundName, joinFound, shapeFound, sortFound } from './found';

/** As Tempo answers `/api/search`. */
const WIRE = {
  traceID: '2f3e0cee77ae5dc9c17ade3689eb2e54',
  rootServiceName: 'shop-backend',
  rootTraceName: 'update-billing',
  startTimeUnixNano: '1684778327699392724',
  durationMs: 557,
  spanSets: [
    {
      spans: [
        {
          spanID: '563d623c76514f8e',
          name: 'SELECT',
          startTimeUnixNano: '1684778327735077898',
          durationNanos: '446979497',
          attributes: [
            { key: 'status', value: { stringValue: 'error' } },
            { key: 'http.status_code', value: { intValue: '500' } },
          ],
        },
      ],
      matched: 4,
    },
  ],
  serviceStats: { 'shop-backend': { spanCount: 3 }, billing: { spanCount: 9, errorCount: 2 } },
};

describe('a trace of a search', () => {
  it('says what a row shows', () => {
    expect(shapeFound(WIRE)).toMatchObject({
      service: 'shop-backend',
      operation: 'update-billing',
      durationUs: 557_000,
      spans: 12,
      errors: 2,
      matched: 4,
      services: [
        { name: 'billing', count: 9, errors: 2 },
        { name: 'shop-backend', count: 3, errors: 0 },
      ],
      matches: [
        {
          name: 'SELECT',
          durationUs: 446_979.497,
          attributes: [
            ['status', 'error'],
            ['http.status_code', '500'],
          ],
        },
      ],
    });
  });
  it('of less than a millisecond is as long as its longest match', () => {
    const spanSets = [{ spans: [{ spanID: 'a', durationNanos: '250000' }] }];
    expect(shapeFound({ traceID: 'a', durationMs: 0, spanSets }).durationUs).toBe(250);
  });
  it('without its root is named after what there is', () => {
    const found = shapeFound({ ...WIRE, rootServiceName: '<root span not yet received>', rootTraceName: '' });
    expect(foundName(found)).toEqual({ service: 'billing', operation: 'root span not here' });
  });
});

describe('a list of them', () => {
  it('is in order of nanoseconds, each once, the fuller one kept', () => {
    const at = (traceID: string, ns: string, spanCount: number) =>
      shapeFound({ traceID, startTimeUnixNano: ns, serviceStats: { a: { spanCount } } });
    const list = joinFound([
      [at('b', '1684778327699392724', 1), at('c', '1684778327699392725', 1)],
      [at('b', '1684778327699392724', 5), at('a', '999999999999999999', 1)],
    ]);
    expect(list.map((one) => [one.id, one.spans])).toEqual([
      ['c', 1],
      ['b', 5],
      ['a', 1],
    ]);
    expect(sortFound(list, 'spans')[0]?.id).toBe('b');
  });
  it('keeps all digits of the time in its file', () => {
    expect(foundCsv([shapeFound(WIRE)]).rows[0]?.slice(0, 2)).toEqual([
      '2023-05-22T17:58:47.699392724Z',
      '2f3e0cee77ae5dc9c17ade3689eb2e54',
    ]);
  });
});
