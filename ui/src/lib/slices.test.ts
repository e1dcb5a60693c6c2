import { describe, expect, it } from 'vitest';
import { type Found, joinFound, shapeFound } from './found';
import { compareNs } from '../api/loki';
import { type Cursor, firstCursor, nextCursor, settledNs, shareDone, slicesOf } from './slices';

const range = { fromMs: 1_000_000_000, toMs: 1_003_600_000 };

describe('slices', () => {
  it('cover the range once, the newest first and shortest', () => {
    for (const hours of [0.2, 1, 6, 24 * 7, 24 * 90]) {
      const slices = slicesOf({ fromMs: 1e12, toMs: 1e12 + hours * 36e5 });
      expect(slices[0]?.endS).toBe(Math.ceil(1e9 + hours * 3600));
      expect(slices[slices.length - 1]?.startS).toBe(1e9);
      slices.slice(1).forEach((one, i) => expect(one.endS).toBe(slices[i]?.startS));
      expect(slices.length).toBeLessThan(7);
    }
  });
});

/** A node that keeps `all` and answers as the API says: those that reach into the range, newest first. */
function node(all: readonly Found[]) {
  return (startS: number, endS: number, limit: number) =>
    joinFound([all])
      .filter((one) => one.startMs <= endS * 1e3 && one.startMs + one.durationUs / 1e3 >= startS * 1e3)
      .slice(0, limit);
}

function trace(id: number, startMs: number, durationMs: number): Found {
  return shapeFound({
    traceID: id.toString(16).padStart(32, '0'),
    startTimeUnixNano: `${Math.floor(startMs)}${String(id % 1_000_000).padStart(6, '0')}`,
    durationMs,
  });
}

/** Reads to the end; what is settled on the way must be the head of the list at the end. */
function readAll(all: readonly Found[], limit: number) {
  const expected = joinFound([all]).map((one) => one.id);
  const ask = node(all);
  const slices = slicesOf(range);
  const pages: Found[][] = [];
  let cursor: Cursor | undefined = firstCursor(slices, limit);
  let last = 0;
  while (cursor) {
    const asked: Cursor = cursor;
    const page = ask(slices[asked.slice]?.startS ?? 0, asked.endS, asked.limit);
    pages.push(page);
    cursor = nextCursor(slices, asked, page, limit);
    const share = shareDone(slices, cursor);
    expect(share).toBeGreaterThanOrEqual(last);
    last = share;
    expect(pages.length).toBeLessThan(500);
    const from = settledNs(slices, asked, page, cursor === undefined);
    const shown = joinFound(pages).filter((one) => compareNs(one.startNs, from) >= 0);
    expect(shown.map((one) => one.id)).toEqual(expected.slice(0, shown.length));
    if (page.length > 0) expect(shown.length).toBeGreaterThan(0);
  }
  return joinFound(pages).map((one) => one.id);
}

describe('reading slice by slice', () => {
  it('finds every trace once, in order, also where many start in one second or last for long', () => {
    let seed = 7;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const all = Array.from({ length: 700 }, (_, i) => {
      const burst = i % 3 === 0;
      const at = burst ? 1_001_500_000 + (i % 900) : 1_000_000_000 + random() * 3_600_000;
      return trace(i, at, random() < 0.1 ? random() * 1e6 : random() * 500);
    });
    const expected = joinFound([all]).map((one) => one.id);
    for (const limit of [5, 100, 1000]) expect(readAll(all, limit)).toEqual(expected);
  });
  it('of nothing ends', () => {
    expect(readAll([], 10)).toEqual([]);
  });
});
