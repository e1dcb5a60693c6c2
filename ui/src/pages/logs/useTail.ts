/** A live tail as a component sees it: what has come, whether it is open, and what to do when it breaks. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useReducer, useState } from 'react';
import type { Coverage } from '../../api/coverage';
import type { Asker } from '../../api/http';
import { type LogLine, msToNs, queryLines } from '../../api/loki';
import { openTail, type TailMessage } from '../../api/tail';
import { EMPTY_TAIL, follow, pause, receive, type TailState } from '../../lib/tailbuffer';

export type Link =
  | { state: 'opening' }
  | { state: 'open' }
  /** Tried again by itself. */
  | { state: 'lost'; reason: string }
  /** Trying again would not help. */
  | { state: 'refused'; error: Error };

type Action = { do: 'receive'; lines: LogLine[]; dropped: number } | { do: 'pause' | 'follow' | 'clear' };

function reduce(state: TailState, action: Action): TailState {
  switch (action.do) {
    case 'receive':
      return receive(state, action.lines, action.dropped);
    case 'pause':
      return pause(state);
    case 'follow':
      return follow(state);
    case 'clear':
      return EMPTY_TAIL;
  }
}

/** Messages are shown together: a busy tail has hundreds a second, a person sees ten. */
const TOGETHER_MS = 150;
const AGAIN_MS = 2000;
/** Where a tail begins: a little before now, so that a quiet one is not empty. */
const BACK_MS = 10 * 60_000;
const HISTORY = 100;
/** After a break everything that came meanwhile, as far as one tail gives it. */
const CATCH_UP = 5000;

export function useTail(query: string, asker: Asker) {
  const [tail, dispatch] = useReducer(reduce, EMPTY_TAIL);
  const [link, setLink] = useState<Link>({ state: 'opening' });
  const say = useTailCoverage(query, asker);
  useEffect(() => {
    dispatch({ do: 'clear' });
    return followTail(query, asker, {
      setLink,
      say,
      receive: (lines, dropped) => dispatch({ do: 'receive', lines, dropped }),
    });
  }, [query, asker, say]);
  const onPause = useCallback(() => dispatch({ do: 'pause' }), []);
  const onFollow = useCallback(() => dispatch({ do: 'follow' }), []);
  const onClear = useCallback(() => dispatch({ do: 'clear' }), []);
  return { tail, link, onPause, onFollow, onClear };
}

interface Reader {
  setLink: (link: Link) => void;
  say: (coverage: Coverage[]) => void;
  receive: (lines: LogLine[], dropped: number) => void;
}

/** Opens, collects, opens again after a break; ends when what it returns is called. */
function followTail(query: string, asker: Asker, reader: Reader): () => void {
  let stop: (() => void) | null = null;
  let again: number | undefined;
  let flush: number | undefined;
  let ended = false;
  let newestNs = '';
  let lines: LogLine[] = [];
  let dropped = 0;
  const hand = () => {
    flush = undefined;
    reader.receive(lines, dropped);
    lines = [];
    dropped = 0;
  };
  const take = (message: TailMessage) => {
    if (message.coverage) reader.say(message.coverage);
    for (const line of message.lines) {
      lines.push(line);
      if (line.ns.length > newestNs.length || line.ns > newestNs) newestNs = line.ns;
    }
    dropped += message.dropped;
    if (lines.length > 0 || dropped > 0) flush ??= window.setTimeout(hand, TOGETHER_MS);
  };
  const open = () => {
    let opened = false;
    reader.setLink({ state: 'opening' });
    const since = newestNs === '' ? msToNs(Date.now() - BACK_MS) : `${BigInt(newestNs) + 1n}`;
    stop = openTail(query, asker, since, newestNs === '' ? HISTORY : CATCH_UP, {
      onOpen: () => {
        opened = true;
        reader.setLink({ state: 'open' });
      },
      onMessage: take,
      onClose: (reason) => {
        reader.setLink({ state: 'lost', reason });
        if (!opened) void explain();
        again = window.setTimeout(open, AGAIN_MS);
      },
    });
  };
  // A browser does not say why a socket was refused; the same query over HTTP does.
  const explain = async () => {
    try {
      const now = Date.now();
      await queryLines(query, msToNs(now - 1000), msToNs(now), 1, asker);
    } catch (error) {
      if (ended || !(error instanceof Error) || !('status' in error) || error.status === 0) return;
      window.clearTimeout(again);
      reader.setLink({ state: 'refused', error });
    }
  };
  open();
  return () => {
    ended = true;
    stop?.();
    window.clearTimeout(again);
    window.clearTimeout(flush);
  };
}

/** Puts what a tail says of its sources where the badge and the banner look for it. */
function useTailCoverage(query: string, asker: Asker): (coverage: Coverage[]) => void {
  const client = useQueryClient();
  const key = JSON.stringify(['tail coverage', query, asker]);
  useQuery({ queryKey: [key], queryFn: () => ({ coverage: [] as Coverage[] }), staleTime: Infinity });
  return useCallback((coverage) => client.setQueryData([key], { coverage }), [client, key]);
}
