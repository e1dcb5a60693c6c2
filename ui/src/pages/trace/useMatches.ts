/** Which spans a text means. A large trace is searched in slices between frames, so that typing never waits. */
import { useEffect, useMemo, useState } from 'react';
import { findSpans, spanMatcher } from '../../lib/spanfind';
import type { Span } from '../../lib/trace';

/** Up to this many spans are searched in less than a frame. */
const AT_ONCE = 5000;
const SLICE_MS = 10;

export interface Matches {
  found: ReadonlySet<number>;
  /** There may be more. */
  looking: boolean;
}

const NONE: ReadonlySet<number> = new Set();

export function useMatches(spans: readonly Span[], text: string): Matches {
  const small = spans.length <= AT_ONCE || text.trim() === '';
  const now = useMemo(() => (small ? findSpans(spans, text) : null), [small, spans, text]);
  const [last, setLast] = useState<{ spans: readonly Span[]; text: string; found: ReadonlySet<number> } | null>(null);
  useEffect(() => {
    if (small) return undefined;
    const matches = spanMatcher(text) ?? (() => false);
    const found = new Set<number>();
    let at = 0;
    let timer = 0;
    const slice = () => {
      const until = performance.now() + SLICE_MS;
      while (at < spans.length && performance.now() < until) {
        for (const end = Math.min(at + 500, spans.length); at < end; at += 1) {
          const span = spans[at];
          if (span && matches(span)) found.add(at);
        }
      }
      if (at < spans.length) timer = window.setTimeout(slice);
      else setLast({ spans, text, found });
    };
    timer = window.setTimeout(slice);
    return () => window.clearTimeout(timer);
  }, [small, spans, text]);
  return useMemo(() => {
    if (now) return { found: now, looking: false };
    if (last?.spans !== spans) return { found: NONE, looking: true };
    return { found: last.found, looking: last.text !== text };
  }, [now, last, spans, text]);
}
