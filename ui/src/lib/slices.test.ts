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

interface Kept {
  found: Found;
  /** Where its spans that match start. */
  matches: number[];
}

/** A node that keeps `all`: traces with a match in the range, those with the newest matches, newest first. */
function node(all: readonly Kept[]) {
  return (startS: number, endS: number, limit: number) => {
    const newestIn = ({ matches }: Kept) =>
      Math.max(-Infinity, ...matches.filter((at) => at >= startS * 1e3 && at < (endS + 1) * 1e3));
    const hits = all.map((one) => ({ one, newest: newestIn(one) })).filter(({ newest }) => Number.isFinite(newest));
    const kept = hits.sort((a, b) => b.newest - a.newest).slice(0, limit);
    return joinFound([kept.map(({ one }) => one.found)]);
  };
}

/** Matches at shares of its length; only the first two are listed. */
function trace(id: number, startMs: number, durationMs: number, shares: readonly number[]): Kept {
  const ns = (ms: number) => `${Math.floor(ms)}${String(id % 1_000_000).padStart(6, '0')}`;
  const matches = shares.map((share) => startMs + share * durationMs).sort((a, b) => a - b);
  const spans = matches.slice(0, 2).map((at) => ({ spanID: 'a', startTimeUnixNano: ns(at) }));
  const found = shapeFound({
    traceID: id.toString(16).padStart(32, '0'),
    startTimeUnixNano: ns(startMs),
    durationMs: Math.ceil(durationMs),
    spanSets: [{ matched: matches.length, spans }],
  });
  return { found, matches };
}

/** Reads to the end; what is settled on the way must be the head of the list at the end. */
function readAll(all: readonly Kept[], limit: number) {
  const expected = inOrder(all);
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
  }
  return joinFound(pages).map((one) => one.id);
}

function inOrder(all: readonly Kept[]): string[] {
  return joinFound([all.filter((one) => one.matches.some(inRange)).map((one) => one.found)]).map((one) => one.id);
}

function inRange(ms: number): boolean {
  return ms >= range.fromMs && ms < range.toMs + 1000;
}

describe('reading slice by slice', () => {
  it('finds every trace once, in order, also where many start in one second or last for long', () => {
    let seed = 7;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const all = Array.from({ length: 700 }, (_, i) => {
      const burst = i % 3 === 0;
      const at = burst ? 1_001_500_000 + (i % 900) : 1_000_000_000 + random() * 3_600_000;
      const isLong = random() < 0.1;
      const shares = Array.from({ length: 1 + (i % 4) }, random);
      return trace(i, at, isLong ? random() * 1e6 : random() * 500, shares);
    });
    const expected = inOrder(all);
    for (const limit of [5, 100, 1000]) expect(readAll(all, limit)).toEqual(expected);
  });
  it('of nothing ends', () => {
    expect(readAll([], 10)).toEqual([]);
  });
});
