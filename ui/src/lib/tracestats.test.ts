import { describe, expect, it } from 'vitest';
import { criticalPath, timeOnPath } from './criticalpath';
import { seeded } from './seeded';
import { buildTrace, selfTimes } from './trace';
import { percentile, sortStats, traceStats } from './tracestats';
import { randomTrace, traceOf } from './tracetext';

function measured(wire: ReturnType<typeof traceOf>) {
  const { spans } = buildTrace(wire);
  return { spans, self: selfTimes(spans), path: timeOnPath(criticalPath(spans), spans.length) };
}

const SHOP = `
A 0..100 service=web op=GET
  B 10..40 service=shop op=price db=pg
  C 20..60 service=shop op=price error db=pg
  D 70..90 service=shop op=stock db=redis
E 200..210 service=web op=GET parent=lost`;

describe('statistics of a trace', () => {
  it('add up by operation, without what is missing', () => {
    const { rows, without } = traceStats(measured(traceOf(SHOP)), 'operation');
    expect(
      rows.map((row) => [row.service, row.name, row.count, row.errors, row.totalUs, row.selfUs, row.pathUs]),
    ).toEqual([
      ['shop', 'price', 2, 1, 70, 70, 40],
      ['web', 'GET', 2, 0, 110, 40, 50],
      ['shop', 'stock', 1, 0, 20, 20, 20],
    ]);
    expect(rows[0]).toMatchObject({ meanUs: 35, minUs: 30, p50Us: 30, p95Us: 40, maxUs: 40 });
    expect(without).toBe(0);
  });

  it('add up by service and by any attribute, and count what has none', () => {
    const all = measured(traceOf(SHOP));
    expect(traceStats(all, 'service').rows.map((row) => [row.name, row.count])).toEqual([
      ['shop', 3],
      ['web', 2],
    ]);
    const byDb = traceStats(all, 'db');
    expect(byDb.rows.map((row) => [row.name, row.count])).toEqual([
      ['pg', 2],
      ['redis', 1],
    ]);
    expect(byDb.without).toBe(2);
    expect(traceStats(all, 'service', new Set([1, 2])).rows).toHaveLength(1);
  });

  it('sort by any column', () => {
    const { rows } = traceStats(measured(traceOf(SHOP)), 'operation');
    expect(sortStats(rows, 'maxUs').map((row) => row.maxUs)).toEqual([100, 40, 20]);
    expect(sortStats(rows, 'name').map((row) => `${row.service} ${row.name}`)).toEqual([
      'shop price',
      'shop stock',
      'web GET',
    ]);
  });

  it('take percentiles by nearest rank', () => {
    const ten = Float64Array.from({ length: 10 }, (_, i) => i + 1);
    expect([0, 0.5, 0.95, 0.99, 1].map((share) => percentile(ten, share))).toEqual([1, 5, 10, 10, 10]);
    expect(percentile([], 0.5)).toBe(0);
  });

  it('never lose time, whatever the trace and however it is grouped', () => {
    const random = seeded(4);
    for (let round = 0; round < 200; round += 1) {
      const all = measured(randomTrace(random, 1 + Math.floor(random() * 50)));
      for (const by of ['operation', 'service', 'span.kind', 'nothing']) {
        const { rows, without } = traceStats(all, by);
        const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + of(row), 0);
        expect(sum((row) => row.count) + without).toBe(all.spans.filter((span) => !span.missing).length);
        if (without > 0) continue;
        expect(sum((row) => row.selfUs)).toBe(all.self.reduce((a, b) => a + b, 0));
        for (const row of rows) {
          expect(row.minUs).toBeLessThanOrEqual(row.p50Us);
          expect(row.p50Us).toBeLessThanOrEqual(row.p95Us);
          expect(row.p99Us).toBeLessThanOrEqual(row.maxUs);
          expect(all.spans[row.slowest]?.durationUs).toBe(row.maxUs);
        }
      }
    }
  });
});
