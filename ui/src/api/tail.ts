/** A live tail of the node over a WebSocket: lines as they are written. The only place that opens a socket. */
import { type Coverage, readCoverage } from './coverage';
import type { Asker } from './http';
import { BASE, flatten, type LogLine, type LokiStream } from './loki';
import { narrowed } from './scoped';

export interface TailMessage {
  lines: LogLine[];
  /** Lines that the node left out. */
  dropped: number;
  /** Null where it is what it was. */
  coverage: Coverage[] | null;
}

export interface TailListener {
  onOpen: () => void;
  onMessage: (message: TailMessage) => void;
  /** `reason` is empty where nobody gave one. */
  onClose: (reason: string) => void;
}

/** Ends it. */
export type Stop = () => void;

/** Begins with at most `history` lines from `sinceNs` on. */
export function openTail(query: string, asker: Asker, sinceNs: string, history: number, listener: TailListener): Stop {
  let socket: WebSocket | null = null;
  let stopped = false;
  const close = (reason: string) => {
    if (stopped) return;
    stopped = true;
    listener.onClose(reason);
  };
  const open = (text: string) => {
    if (stopped) return;
    const params = new URLSearchParams({ query: text, limit: String(history), start: sinceNs });
    if (!asker.scope.dedup) params.set('dedup', 'false');
    if (asker.scope.deny) params.set('partial', 'deny');
    const scheme = window.location.protocol === 'https:' ? 'wss' : 'ws';
    socket = new WebSocket(`${scheme}://${window.location.host}${BASE}/tail?${params.toString()}`);
    socket.onopen = () => listener.onOpen();
    socket.onmessage = (event: MessageEvent<unknown>) => {
      const message = typeof event.data === 'string' ? readTailMessage(event.data) : null;
      if (message) listener.onMessage(message);
    };
    socket.onclose = (event) => close(event.reason);
  };
  void narrowed('logql', query, asker.scope).then(open, () => close('the scope could not be put into the query'));
  return () => {
    stopped = true;
    socket?.close();
  };
}

/** Null for what is no message of a tail. */
export function readTailMessage(text: string): TailMessage | null {
  let body: { streams?: unknown; dropped_entries?: unknown; coverage?: unknown } | null;
  try {
    const parsed: unknown = JSON.parse(text);
    body = typeof parsed === 'object' && parsed !== null ? parsed : null;
  } catch {
    return null;
  }
  if (!body) return null;
  const streams = Array.isArray(body.streams) ? (body.streams as LokiStream[]) : [];
  return {
    lines: flatten(streams.filter((one) => Array.isArray(one?.values))),
    dropped: Array.isArray(body.dropped_entries) ? body.dropped_entries.length : 0,
    coverage: Array.isArray(body.coverage) ? readCoverage(body) : null,
  };
}
