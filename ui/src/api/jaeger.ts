/** The Jaeger query API of the node. Times and durations are microseconds. */
import { JsonPieces } from '../lib/jsonpieces';
import { SpanReader, type TraceData } from '../lib/spandata';
import { type Answer, type Ask, getJson, getPieces } from './http';

export interface KeyValue {
  key: string;
  type?: string;
  value: unknown;
}

export interface SpanEvent {
  timestamp: number;
  fields: readonly KeyValue[];
}

export interface WireSpan {
  traceID: string;
  spanID: string;
  operationName: string;
  references?: { refType: string; traceID: string; spanID: string }[];
  startTime: number;
  duration: number;
  tags?: KeyValue[];
  logs?: SpanEvent[];
  processID: string;
  warnings?: string[] | null;
}

export interface WireProcess {
  serviceName: string;
  tags?: KeyValue[];
}

export interface WireTrace {
  traceID: string;
  spans: WireSpan[];
  processes: Record<string, WireProcess>;
}

interface Envelope<T> {
  data: T | null;
  errors?: { msg: string }[] | null;
}

type Context = Omit<Ask, 'params'>;

const BASE = '/jaeger/api';

export async function services(ask: Context): Promise<Answer<string[]>> {
  const answer = await getJson<Envelope<string[]>>(`${BASE}/services`, ask);
  return { ...answer, data: [...(answer.data.data ?? [])].sort() };
}

export async function operations(service: string, ask: Context): Promise<Answer<string[]>> {
  const answer = await getJson<Envelope<string[]>>(`${BASE}/services/${encodeURIComponent(service)}/operations`, ask);
  return { ...answer, data: [...(answer.data.data ?? [])].sort() };
}

interface TraceFrame {
  data: Omit<WireTrace, 'spans'>[] | null;
}

/** Where the spans of a trace stand in the answer: `{"data": [{"spans": [`. */
const SPANS = { key: 'spans', depth: 3 };

/**
 * One trace, of any length: its spans are read as they come. `raw` asks a node, or a Jaeger behind it, for times as they
 * were sent; clocks are set right here, where it can be said by how much (`lib/skew.ts`).
 */
export async function traceById(
  id: string,
  ask: Context,
  onProgress?: (spans: number, bytes: number) => void,
): Promise<Answer<TraceData | null>> {
  const reader = new SpanReader();
  const pieces = new JsonPieces(SPANS, (spans) => reader.add(spans as WireSpan[]));
  let bytes = 0;
  const take = (piece: Uint8Array) => {
    pieces.push(piece);
    bytes += piece.length;
    onProgress?.(reader.count, bytes);
  };
  const path = `${BASE}/traces/${encodeURIComponent(id)}`;
  const end = () => pieces.end() as TraceFrame;
  const answer = await getPieces(path, { ...ask, params: { raw: 'true' } }, take, end);
  const frame = answer.data.data?.[0];
  return { ...answer, data: frame ? reader.finish(frame.traceID, frame.processes) : null };
}
