import { afterEach, describe, expect, it, vi } from 'vitest';
import { EVERYTHING } from '../lib/scope';
import { traceOf } from '../lib/tracetext';
import { ApiError, type Asker } from './http';
import { traceById } from './jaeger';

const ASKER: Asker = { tenant: 'team', scope: EVERYTHING };
const BODY = {
  data: [traceOf('A 0..10\n  B 1..5 service=cart')],
  total: 0,
  errors: null,
  coverage: [{ cluster: 'prod-01', state: 'missing', reason: 'refused' }],
};

/** Answers with these pieces, then ends, or breaks. */
function answer(pieces: string[], status = 200, broken = false) {
  const asked: Request[] = [];
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    asked.push(new Request(new URL(url, 'http://node'), init));
    const left = [...pieces];
    const body = new ReadableStream<Uint8Array>({
      pull: (to) => {
        const next = left.shift();
        if (next !== undefined) to.enqueue(new TextEncoder().encode(next));
        else if (broken) to.error(new TypeError('network error'));
        else to.close();
      },
    });
    return Promise.resolve(new Response(body, { status }));
  });
  return asked;
}

const inPieces = (text: string, size: number) => text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as ApiError,
  );

describe('a trace by id', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is read as it comes, and tells how far it is', async () => {
    const asked = answer(inPieces(JSON.stringify(BODY), 17));
    const counts: number[] = [];
    const found = await traceById('ab/c', ASKER, (spans) => counts.push(spans));
    expect(found.data?.id).toBe('t');
    expect(found.data?.spans.map((span) => [span.id, span.process.service])).toEqual([
      ['A', 'svc'],
      ['B', 'cart'],
    ]);
    expect(found.coverage[0]).toMatchObject({ cluster: 'prod-01', state: 'missing' });
    expect(counts.at(-1)).toBe(2);
    expect(asked[0]?.url).toBe('http://node/jaeger/api/traces/ab%2Fc?raw=true');
    expect(asked[0]?.headers.get('x-scope-orgid')).toBe('team');
  });

  it('that nobody has is null', async () => {
    answer(['{"data":[],"errors":null}']);
    expect((await traceById('a', ASKER)).data).toBeNull();
    answer(['{"data":null}']);
    expect((await traceById('a', ASKER)).data).toBeNull();
  });

  it('is refused in the words of the node', async () => {
    answer(['{"errors":[{"code":404,"msg":"trace not found"}],"coverage":[{"cluster":"x","state":"late"}]}'], 404);
    const error = await failure(traceById('a', ASKER));
    expect(error).toMatchObject({ status: 404, message: 'trace not found' });
    expect(error?.coverage[0]?.cluster).toBe('x');
  });

  it('that is cut off is an error, never a shorter trace', async () => {
    const text = JSON.stringify(BODY);
    answer(inPieces(text.slice(0, 300), 50));
    expect(await failure(traceById('a', ASKER))).toMatchObject({ kind: 'corrupt' });
    answer(inPieces(text.slice(0, 300), 50), 200, true);
    expect(await failure(traceById('a', ASKER))).toMatchObject({ kind: 'unavailable', status: 0 });
  });
});
