/**
 * A search of a long range, newest part first: the range is cut into slices that double towards the past, so that a first
 * page is there soon and it can be said how far back has been searched. A slice that holds more than was asked for is gone
 * through from its newest to its oldest match.
 *
 * A node finds traces by spans that match and start in what is asked for, those with the newest such spans first. So what
 * a full page leaves out has no match after the page's oldest, and began no later.
 */
import type { Found } from './found';
import type { Range } from './time';

/** Whole seconds: all that the API knows. */
export interface Cursor {
  /** Index into the slices. */
  slice: number;
  endS: number;
  /** How many traces to ask for. */
  limit: number;
}

export interface Slice {
  startS: number;
  endS: number;
}

/** Shorter ranges are one question. */
const WHOLE_S = 1800;
/** Of the range, for the newest slice and the one before. */
const FIRST = 1 / 16;
/** Traces of one second that are asked for at most. */
const MOST_AT_ONCE = 20_000;

export function slicesOf(range: Range): Slice[] {
  const startS = Math.floor(range.fromMs / 1e3);
  const endS = Math.ceil(range.toMs / 1e3);
  if (endS - startS <= WHOLE_S) return [{ startS, endS }];
  const out: Slice[] = [];
  let to = endS;
  for (let width = (endS - startS) * FIRST; to > startS; width = out.length > 1 ? width * 2 : width) {
    const from = Math.max(startS, Math.floor(to - width));
    // What would be left is not worth a question of its own.
    out.push({ startS: from - startS < width / 2 ? startS : from, endS: to });
    to = out[out.length - 1]?.startS ?? startS;
  }
  return out;
}

export function firstCursor(slices: readonly Slice[], limit: number): Cursor {
  return { slice: 0, endS: slices[0]?.endS ?? 0, limit };
}

/** Where to go on after a page; undefined at the end of the range. */
export function nextCursor(
  slices: readonly Slice[],
  asked: Cursor,
  page: readonly Found[],
  limit: number,
): Cursor | undefined {
  const slice = slices[asked.slice];
  if (!slice) return undefined;
  if (page.length >= asked.limit) {
    // Matches of the same second may be missing still: it is asked for again.
    const endS = Math.min(asked.endS, Math.floor(oldestMatchMs(page) / 1e3) + 1);
    if (endS > slice.startS && endS < asked.endS) return { slice: asked.slice, endS, limit };
    if (endS === asked.endS && asked.limit < MOST_AT_ONCE) {
      return { slice: asked.slice, endS, limit: Math.min(MOST_AT_ONCE, asked.limit * 4) };
    }
  }
  const next = slices[asked.slice + 1];
  return next ? { slice: asked.slice + 1, endS: next.endS, limit } : undefined;
}

/** The share of the range that is behind a cursor, 0 to 1; undefined stands for the end. */
export function shareDone(slices: readonly Slice[], at: Cursor | undefined): number {
  const first = slices[0];
  const last = slices[slices.length - 1];
  if (!first || !last || at === undefined) return 1;
  return (first.endS - at.endS) / Math.max(1, first.endS - last.startS);
}

/**
 * From which start on, in nanoseconds, the list is final once this page is in it: no trace that is missing still belongs
 * above. What is older waits, or rows would be pushed apart later on.
 */
export function settledNs(slices: readonly Slice[], asked: Cursor, page: readonly Found[], isLast: boolean): string {
  const slice = slices[asked.slice];
  if (isLast || !slice) return '0';
  const from = page.length < asked.limit ? slice.startS : Math.max(slice.startS, oldestMatchMs(page) / 1e3);
  return `${Math.ceil(from * 1e3)}000000`;
}

function oldestMatchMs(page: readonly Found[]): number {
  return page.reduce((low, one) => Math.min(low, one.matchedToMs), Infinity);
}
