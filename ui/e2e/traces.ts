/**
 * Traces for tests of the trace page, so that they need no particular node: a request over three clusters with all that can
 * be wrong with one, the same request made slower, and one of two hundred thousand spans that comes over the wire.
 */
import type { Page, Route } from '@playwright/test';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export const SHOP = '0af7651916cd43dd8448eb211c80319c';
export const SLOWER = '0af7651916cd43dd8448eb211c80319d';
export const OTHER = '1af7651916cd43dd8448eb211c80319e';
export const LARGE = '2af7651916cd43dd8448eb211c80319f';

const ZERO_US = Math.round((Date.now() - 120_000) * 1e3);
const hex = (id: number) => id.toString(16).padStart(16, '0');

const PROCESSES = {
  front: ['frontend', 'ops-01', 'node-1'],
  check: ['checkout', 'prod-01', 'node-2'],
  pay: ['payment', 'edge-07', 'node-3'],
} as const;

function process([service, cluster, node]: readonly [string, string, string]) {
  const said = {
    'k8s.cluster.name': cluster,
    'k8s.node.name': node,
    'k8s.namespace.name': 'shop',
    'k8s.pod.name': `${service}-7d9`,
    'k8s.pod.uid': `uid-of-${service}`,
  };
  return { serviceName: service, tags: Object.entries(said).map(([key, value]) => ({ key, type: 'string', value })) };
}

type Tags = Record<string, string | number | boolean>;
interface More {
  tags?: Tags;
  logs?: unknown[];
  links?: { traceID: string; spanID: string }[];
}

function span(
  trace: string,
  id: number,
  parent: number,
  processID: keyof typeof PROCESSES,
  name: string,
  fromMs: number,
  toMs: number,
  more: More = {},
) {
  const parents = parent ? [{ refType: 'CHILD_OF', traceID: trace, spanID: hex(parent) }] : [];
  return {
    traceID: trace,
    spanID: hex(id),
    operationName: name,
    references: [...parents, ...(more.links ?? []).map((link) => ({ refType: 'FOLLOWS_FROM', ...link }))],
    startTime: ZERO_US + fromMs * 1e3,
    duration: (toMs - fromMs) * 1e3,
    tags: Object.entries(more.tags ?? {}).map(([key, value]) => ({ key, type: 'string', value })),
    logs: more.logs ?? [],
    processID,
    warnings: null,
  };
}

/** The clock of node-2 is 70 ms behind, and the span that settles the payment never came. */
export function shopTrace(trace: string, slow: boolean) {
  const of = (...args: Parameters<typeof span> extends [string, ...infer R] ? R : never) => span(trace, ...args);
  const exception = [
    { key: 'event', value: 'exception' },
    { key: 'exception.type', value: 'CardDeclined' },
    { key: 'exception.message', value: 'the bank said no' },
    { key: 'exception.stacktrace', value: 'at charge (pay.js:42)\nat serve (main.js:7)' },
  ];
  const failed = {
    tags: { 'span.kind': 'server', error: true },
    logs: [{ timestamp: ZERO_US + 250_000, fields: exception }],
  };
  const spans = [
    of(1, 0, 'front', 'GET /cart', 0, slow ? 620 : 480, { tags: { 'span.kind': 'server' } }),
    of(2, 1, 'front', 'POST checkout', 30, slow ? 600 : 450, { tags: { 'span.kind': 'client' } }),
    of(3, 2, 'check', 'POST /checkout', -28, slow ? 520 : 368, {
      tags: { 'span.kind': 'server' },
      links: [{ traceID: OTHER, spanID: hex(7) }],
    }),
    of(4, 3, 'check', 'SELECT stock', -10, 70, { tags: { 'db.system': 'postgresql' } }),
    of(5, 3, 'check', 'Charge', slow ? 260 : 90, slow ? 410 : 210, { tags: { 'span.kind': 'client' } }),
    of(6, 5, 'pay', 'Charge', slow ? 340 : 170, slow ? 470 : 270, failed),
    slow ? of(8, 6, 'pay', 'ledger insert', 400, 440) : of(7, 6, 'pay', 'fraud check', 180, 220),
    of(11, 99, 'pay', 'settle', 300, 360),
    of(12, 11, 'pay', 'INSERT entry', 310, 350),
    ...(slow ? [of(41, 3, 'check', 'SELECT stock', 71, 150), of(42, 3, 'check', 'SELECT stock', 151, 230)] : []),
  ];
  const processes = Object.fromEntries(Object.entries(PROCESSES).map(([name, one]) => [name, process(one)]));
  return { traceID: trace, spans, processes };
}

export interface Around {
  coverage?: unknown[];
  /** Lines by span, as the node counts them. */
  lines?: Record<string, number>;
}

/** Answers for the small traces, and for the logs and metrics around them. */
export async function mockTraces(page: Page, around: Around = {}): Promise<void> {
  const json = (route: Route, body: unknown) => route.fulfill({ json: body });
  // Loki's paths end like Prometheus'.
  const isPath = (path: string) => (url: URL) => url.pathname === path;
  await page.route(/\/jaeger\/api\/traces\/[01]af/, (route) => {
    const id = new URL(route.request().url()).pathname.split('/').pop() ?? '';
    const trace = id === OTHER ? shopTrace(OTHER, false) : shopTrace(id, id === SLOWER);
    return json(route, { data: [trace], total: 0, errors: null, coverage: around.coverage ?? [] });
  });
  await page.route(isPath('/loki/api/v1/labels'), (route) =>
    json(route, { status: 'success', data: ['cluster', 'k8s_namespace_name', 'k8s_pod_name', 'service_name'] }),
  );
  await page.route(isPath('/loki/api/v1/query'), (route) => {
    const bySpan = (new URL(route.request().url()).searchParams.get('query') ?? '').includes('by (span_id)');
    const result = Object.entries(bySpan ? (around.lines ?? {}) : {}).map(([id, count]) => ({
      metric: { span_id: id },
      value: [Date.now() / 1e3, String(count)],
    }));
    return json(route, { status: 'success', data: { resultType: 'vector', result } });
  });
  await page.route(isPath('/api/v1/labels'), (route) =>
    json(route, { status: 'success', data: ['cluster', 'k8s_pod_name', 'service_name'] }),
  );
  await page.route(isPath('/api/v1/label/__name__/values'), (route) =>
    json(route, { status: 'success', data: ['traces_spanmetrics_calls_total', 'traces_spanmetrics_latency_bucket'] }),
  );
  await page.route(isPath('/api/v1/series'), (route) => json(route, { status: 'success', data: [{ __name__: 'up' }] }));
}

export const MANY = 200_000;
/** Children of each span of the large trace. */
const WIDE = 8;

/** A server that writes the large trace as a node does: in one long answer, as fast as it is read. */
export async function serveLarge(): Promise<{ server: Server; url: string }> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    const parts = largeParts();
    const write = () => {
      for (let next = parts.next(); !next.done; next = parts.next()) {
        if (!response.write(next.value)) {
          response.once('drain', write);
          return;
        }
      }
      response.end();
    };
    write();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** The browser asks its own origin; what it is given comes from the server above. */
export async function mockLarge(page: Page, url: string): Promise<void> {
  await page.route(/\/jaeger\/api\/traces\/2af/, (route) => route.continue({ url: `${url}/large` }));
}

function* largeParts(): Generator<string> {
  yield `{"data":[{"traceID":"${LARGE}","spans":[`;
  for (let from = 0; from < MANY; from += 500) {
    const batch = Array.from({ length: Math.min(500, MANY - from) }, (_, i) => JSON.stringify(largeSpan(from + i)));
    yield `${from === 0 ? '' : ','}${batch.join(',')}`;
  }
  const names = Object.entries(PROCESSES).map(([name, one]) => [name, process(one)]);
  yield `],"processes":${JSON.stringify(Object.fromEntries(names))},"warnings":null}],"coverage":[]}`;
}

/** Each lies in its slot of its parent; every thousandth failed. */
function largeSpan(i: number) {
  const path: number[] = [];
  for (let at = i; at > 0; at = Math.floor((at - 1) / WIDE)) path.unshift((at - 1) % WIDE);
  let from = 0;
  let long = 6e7;
  for (const slot of path) {
    from += (slot * long) / WIDE;
    long = (long / WIDE) * 0.95;
  }
  const name = i === MANY - 1 ? 'the very last' : `level ${path.length} kind ${i % 5}`;
  const ran = (Object.keys(PROCESSES) as (keyof typeof PROCESSES)[])[i % 3] as keyof typeof PROCESSES;
  const parent = i === 0 ? 0 : Math.floor((i - 1) / WIDE) + 1;
  const tags: Tags = { 'http.request.method': 'GET', 'url.path': `/items/${i}`, 'thread.id': i % 32 };
  if (i % 1000 === 999) tags.error = true;
  const one = span(LARGE, i + 1, parent, ran, name, 0, 0, { tags });
  return { ...one, startTime: ZERO_US + Math.round(from), duration: Math.max(1, Math.round(long)) };
}
