/**
 * The instant that `now` stands for, shared by everything on the page. It moves only on run and refresh, so that
 * charts, counts and lines drawn together describe the same window.
 */
import { useSyncExternalStore } from 'react';

let nowMs = Date.now();
const listeners = new Set<() => void>();

export function advanceNow(): void {
  // Strictly later, so that two runs inside one millisecond still ask twice.
  nowMs = Math.max(Date.now(), nowMs + 1);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useNow(): number {
  return useSyncExternalStore(subscribe, () => nowMs);
}
