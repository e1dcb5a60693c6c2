/** One place that asks the node: tenant header, timing, coverage, and errors with the server's own words. */
import type { Scope } from '../lib/scope';
import { type Coverage, readCoverage } from './coverage';

export interface Answer<T> {
  data: T;
  coverage: Coverage[];
  warnings: string[];
  /** Remarks of the query engine: nothing is wrong, but something may not be what was meant. */
  infos: string[];
  /** From sending to the parsed body, in milliseconds. */
  elapsedMs: number;
}

export interface Position {
  /** Both count from 1, in characters. */
  line: number;
  column: number;
}

export class ApiError extends Error {
  readonly status: number;
  readonly kind: string;
  readonly position: Position | null;
  /** Who was missing, where the refusal says it: an incomplete answer that was not wanted, a trace nobody there has. */
  readonly coverage: Coverage[];

  constructor(message: string, status: number, kind: string, coverage: Coverage[] = []) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.kind = kind;
    this.position = findPosition(message);
    this.coverage = coverage;
  }
}

export type Params = Record<string, string | number | readonly string[] | undefined>;

/** On whose behalf, and about what, a view asks. */
export interface Asker {
  tenant: string;
  scope: Scope;
}

export interface Ask extends Asker {
  signal?: AbortSignal | undefined;
  params?: Params;
  headers?: Readonly<Record<string, string>>;
}

/** Longer query strings travel as a form: proxies cut URLs at 4 to 8 KiB. */
const LONGEST_QUERY = 2000;

export async function getJson<B>(path: string, ask: Ask): Promise<Answer<B>> {
  const started = performance.now();
  const response = await request(path, ask);
  const text = await response.text();
  return answerOf(parse(text, response.status) as B, started);
}

/** How long pieces of an answer are read before the page gets its turn: less than a frame. */
const SLICE_MS = 12;

/**
 * For an answer that is too long to be held and parsed as one text: `take` is given its bytes as they come, and `end` makes
 * the body of what it took. The page stays alive meanwhile.
 */
export async function getPieces<B>(
  path: string,
  ask: Ask,
  take: (bytes: Uint8Array) => void,
  end: () => B,
): Promise<Answer<B>> {
  const started = performance.now();
  const response = await request(path, ask);
  const reader = response.body?.getReader();
  let sliceFrom = performance.now();
  try {
    for (let piece = await readPiece(reader); piece; piece = await readPiece(reader)) {
      take(piece);
      if (performance.now() - sliceFrom < SLICE_MS) continue;
      await turn();
      sliceFrom = performance.now();
    }
    return answerOf(end(), started);
  } catch (error) {
    void reader?.cancel().catch(() => undefined);
    if (error instanceof SyntaxError)
      throw new ApiError(`the answer is not whole JSON: ${error.message}`, response.status, 'corrupt');
    throw error;
  }
}

async function readPiece(reader: ReadableStreamDefaultReader<Uint8Array> | undefined): Promise<Uint8Array | undefined> {
  try {
    return (await reader?.read())?.value;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('the connection broke while the answer was read', 0, 'unavailable');
  }
}

/** Lets everything else that waits run first. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

function answerOf<B>(body: B, started: number): Answer<B> {
  const { warnings, infos } = (body ?? {}) as { warnings?: unknown; infos?: unknown };
  return {
    data: body,
    coverage: readCoverage(body),
    warnings: texts(warnings),
    infos: texts(infos),
    elapsedMs: performance.now() - started,
  };
}

/** Sends a question; an answer that is an error is thrown. */
async function request(path: string, ask: Ask): Promise<Response> {
  const query = encodeParams({ ...ask.params, ...wholeness(path, ask.scope) });
  const headers: Record<string, string> = { Accept: 'application/json', ...ask.headers };
  if (ask.tenant) headers['X-Scope-OrgID'] = ask.tenant;
  const init: RequestInit = { headers, signal: ask.signal ?? null };
  let url = query ? `${path}?${query}` : path;
  if (query.length > LONGEST_QUERY) {
    url = path;
    init.method = 'POST';
    init.body = query;
    headers['Content-Type'] = 'application/x-www-form-urlencoded';
  }
  const response = await send(url, init);
  if (!response.ok) throw readError(response.status, await response.text());
  return response;
}

/** What the node tells of itself is never a question to its peers. */
function wholeness(path: string, scope: Scope): Params {
  if (path.startsWith('/api/v1/orrery/')) return {};
  return { dedup: scope.dedup ? undefined : 'false', partial: scope.deny ? 'deny' : undefined };
}

function texts(list: unknown): string[] {
  return Array.isArray(list) ? list.map(String) : [];
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('the node does not answer; is it running, and is the network up?', 0, 'unavailable');
  }
}

function parse(text: string, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(`the answer is not JSON: ${text.slice(0, 200)}`, status, 'corrupt');
  }
}

/** Prometheus answers {errorType, error}, Jaeger {errors: [{msg}]}, Loki plain text. */
export function readError(status: number, text: string): ApiError {
  let body: { error?: unknown; message?: unknown; errorType?: unknown; errors?: { msg?: unknown }[] } | null = null;
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) body = parsed;
  } catch {
    body = null;
  }
  const said = body?.error ?? body?.message ?? body?.errors?.[0]?.msg;
  const message = typeof said === 'string' && said ? said : text.trim().slice(0, 2000);
  const kind = typeof body?.errorType === 'string' ? body.errorType : String(status);
  return new ApiError(message || `the node answered ${status} without a reason`, status, kind, readCoverage(body));
}

/** Parsers say where they stopped as `1:5: …`, `line 1, col 5` or `line 1, column 5`. */
export function findPosition(message: string): Position | null {
  const m =
    /(?:^|[^\d])(\d{1,5}):(\d{1,6}):/.exec(message) ?? /line (\d{1,5}),? col(?:umn)?:? ?(\d{1,6})/i.exec(message);
  return m ? { line: Number(m[1]), column: Number(m[2]) } : null;
}

export function encodeParams(params: Params): string {
  const out = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined || value === '') continue;
    if (typeof value === 'string' || typeof value === 'number') out.append(key, String(value));
    else for (const item of value) out.append(key, item);
  }
  return out.toString();
}
