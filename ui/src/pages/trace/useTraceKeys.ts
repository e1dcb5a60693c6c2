/** Keys of the trace page that need no focus; the help lists them (`shell/actions.ts`). */
import { useEffect, useRef } from 'react';
import { listen, type Shortcut } from '../../lib/keys';
import { letterKeysOn } from '../../shell/actions';
import type { TraceSearchState } from '../../state/search';
import type { usePatch } from '../../state/view';

export function useTraceKeys(
  search: TraceSearchState,
  patch: ReturnType<typeof usePatch>,
  onMatch: (step: 1 | -1) => void,
): void {
  const latest = useRef({ search, patch, onMatch });
  useEffect(() => {
    latest.current = { search, patch, onMatch };
  });
  useEffect(() => {
    const key = (keys: string, run: () => void): Shortcut => ({ keys, label: '', group: 'Trace', run });
    const show = (view: TraceSearchState['view']) => () => latest.current.patch({ view, sort: undefined });
    const keys = [
      key('v w', show(undefined)),
      key('v f', show('flame')),
      key('v t', show('table')),
      key('v s', show('stats')),
      key('v p', () => {
        const { search: now, patch: change } = latest.current;
        change({ path: now.path ? undefined : 'off' }, 'replace');
      }),
      key('v c', () => {
        const { search: now, patch: change } = latest.current;
        change({ clock: now.clock ? undefined : 'raw', zoom: undefined });
      }),
      key('f', () => latest.current.onMatch(1)),
      key('b', () => latest.current.onMatch(-1)),
    ];
    return listen(() => keys, letterKeysOn);
  }, []);
}
