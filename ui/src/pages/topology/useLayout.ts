/** Places of a graph's nodes. They depend on who is connected with whom, not on rates: a refresh moves nothing. */
import { useEffect, useMemo, useRef, useState } from 'react';
import type { Laid, LayoutRequest } from '../../lib/graphlayout';

interface State {
  /** The request that `laid` answers. */
  text: string;
  laid: Laid | null;
  error: string | null;
}

export interface Layout {
  laid: Laid | null;
  /** The graph is being laid out, and nothing is there yet. */
  isWaiting: boolean;
  error: string | null;
}

export function useLayout(request: LayoutRequest): Layout {
  const text = useMemo(() => JSON.stringify(request), [request]);
  const [state, setState] = useState<State>({ text: '', laid: null, error: null });
  const worker = useRef<Worker | null>(null);
  useEffect(() => {
    // One that is at work on a graph nobody wants any more is not waited for.
    worker.current?.terminate();
    const made = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
    worker.current = made;
    made.onmessage = (event: MessageEvent<{ laid?: Laid; error?: string }>) => {
      setState({ text, laid: event.data.laid ?? null, error: event.data.error ?? null });
      made.terminate();
    };
    made.onerror = (event) => setState({ text, laid: null, error: event.message || 'the layout did not run' });
    made.postMessage({ id: 0, request: JSON.parse(text) as LayoutRequest });
    return () => made.terminate();
  }, [text]);
  // Places of another graph are of other nodes.
  const isOwn = state.text === text;
  return { laid: isOwn ? state.laid : null, isWaiting: !isOwn, error: isOwn ? state.error : null };
}
