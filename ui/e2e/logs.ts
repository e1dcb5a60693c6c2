/**
 * Answers about logs that a seeded node does not give: lines of every kind, a field for every parser, patterns, a tail.
 * `known: false` is a node that knows neither fields nor patterns.
 */
import type { Page, Route, WebSocketRoute } from '@playwright/test';

export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const STREAMS = [
  { service_name: 'checkout', cluster: 'prod-01', k8s_pod_name: 'checkout-7d9f-abcde' },
  { service_name: 'gateway', cluster: 'prod-02', k8s_pod_name: 'gateway-5c4-xyz12' },
] as const;
const LEVELS = ['info', 'info', 'info', 'warn', 'error', 'debug'] as const;
/** How many lines the range holds. */
export const TOTAL = 900;

interface Mock {
  known?: boolean;
  /** No line passes. */
  empty?: boolean;
  coverage?: (fromS: number, toS: number) => unknown[];
}

export interface Mocked {
  /** Every query of lines and counts that was sent. */
  queries: string[];
  /** What the node of the tail does. */
  tail: () => WebSocketRoute;
}

function textOf(i: number): string {
  switch (i % 6) {
    case 0:
      return JSON.stringify({ msg: 'order placed', status: 200 + (i % 3) * 100, user: `u-${i}`, took_ms: 12.5 + i });
    case 1:
      return `level=info msg="request ${i} done" method=GET path=/cart/${i} status=200 duration=${i % 90}ms`;
    case 2:
      return `\u001b[32mINFO\u001b[0m \u001b[1mcache\u001b[0m refreshed ${i} keys in ${i % 40} ms`;
    case 3:
      return `slow query on orders: ${300 + i} ms\n  at Pool.query (pool.js:${i})\n  at async run (app.js:7)`;
    case 4:
      return `payment failed: timeout after 30s, trace_id=${TRACE_ID}`;
    default:
      return `GET /healthz 200 from 10.0.${i % 9}.${i % 250}`;
  }
}

/** The lines of the range, newest first. */
function linesOf(toS: number, many: number) {
  return Array.from({ length: many }, (_, i) => ({
    ns: `${Math.round((toS - 1 - i * 3.7) * 1e3)}${String(i % 1000).padStart(3, '0')}123`,
    stream: STREAMS[i % 2] ?? STREAMS[0],
    line: textOf(i),
    meta: { detected_level: LEVELS[i % 6] ?? 'info', ...(i % 6 === 5 ? {} : { thread: `t-${i % 4}` }) },
  }));
}

function paramsOf(route: Route): URLSearchParams {
  const body = route.request().postData();
  return body ? new URLSearchParams(body) : new URL(route.request().url()).searchParams;
}

function streamsBody(found: ReturnType<typeof linesOf>) {
  return STREAMS.map((stream) => ({
    stream,
    values: found
      .filter((one) => one.stream === stream)
      .map((one) => [one.ns, one.line, { structuredMetadata: one.meta }]),
  }));
}

export async function mockLogs(page: Page, mock: Mock = {}): Promise<Mocked> {
  const queries: string[] = [];
  const sockets: WebSocketRoute[] = [];
  // One instant for all answers, so that pages of one list belong together.
  const endS = Date.now() / 1e3;
  const all = mock.empty ? [] : linesOf(endS, TOTAL);
  const json = (route: Route, body: unknown) => route.fulfill({ json: body });
  const list = (data: unknown) => ({ status: 'success', data });
  const path = (name: string) => new RegExp(`/loki/api/v1/${name}(\\?|$)`);
  await page.route(path('labels'), (route) => json(route, list(['service_name', 'cluster', 'k8s_pod_name'])));
  await page.route(path('label/[^/]+/values'), (route) => json(route, list(['checkout', 'gateway'])));
  await page.route(path('query_range'), (route) => {
    const asked = paramsOf(route);
    const query = asked.get('query') ?? '';
    queries.push(query);
    const [fromS, toS] = [Number(asked.get('start')) / 1e9, Number(asked.get('end')) / 1e9];
    const coverage = mock.coverage?.(fromS, toS) ?? [];
    const direction = asked.get('direction');
    if (!direction) return json(route, { ...list(countsOver(query, asked, mock)), coverage });
    const inRange = all.filter(
      (one) => BigInt(one.ns) >= BigInt(asked.get('start') ?? 0) && BigInt(one.ns) < BigInt(asked.get('end') ?? 0),
    );
    const ordered = direction === 'backward' ? inRange : inRange.toReversed();
    const result = streamsBody(ordered.slice(0, Number(asked.get('limit'))));
    return json(route, { ...list({ resultType: 'streams', result }), coverage });
  });
  await page.route(path('query'), (route) => {
    const query = paramsOf(route).get('query') ?? '';
    queries.push(query);
    return json(route, list({ resultType: 'vector', result: countsOf(query, mock) }));
  });
  await page.route(
    path('detected_labels'),
    (route) =>
    mock.known === false
      ? route.fulfill({ status: 404, body: 'not found' })
      : json(route, { detectedLabels: [{ label: 'service_name', cardinality: 2 }, { label: 'k8s_pod_name', cardinality: 41 }] }), // prettier-ignore
  );
  await page.route(path('detected_fields'), (route) =>
    mock.known === false
      ? route.fulfill({ status: 404, body: 'not found' })
      : json(route, { fields: FIELDS, limit: 500 }),
  );
  await page.route(path('patterns'), (route) =>
    mock.known === false
      ? route.fulfill({ status: 404, body: 'not found' })
      : json(route, list(patternsOf(paramsOf(route)))),
  );
  await page.routeWebSocket(/\/loki\/api\/v1\/tail/, (socket) => {
    sockets.push(socket);
  });
  return {
    queries,
    tail: () => {
      const last = sockets[sockets.length - 1];
      if (!last) throw new Error('no tail was opened');
      return last;
    },
  };
}

const FIELDS = [
  { label: 'detected_level', type: 'string', cardinality: 4, parsers: null },
  { label: 'thread', type: 'string', cardinality: 4, parsers: [] },
  { label: 'status', type: 'int', cardinality: 3, parsers: ['json'] },
  { label: 'took_ms', type: 'float', cardinality: 150, parsers: ['json'] },
  { label: 'duration', type: 'duration', cardinality: 90, parsers: ['logfmt'] },
  { label: 'path', type: 'string', cardinality: 150, parsers: ['logfmt'] },
];

function countsOver(query: string, asked: URLSearchParams, mock: Mock) {
  const [from, to] = [Number(asked.get('start')) / 1e9, Number(asked.get('end')) / 1e9];
  const step = Number(asked.get('step'));
  const label = /sum by \(([\w, ]+)\)/.exec(query)?.[1];
  const names = label?.startsWith('detected_level') ? ['info', 'warn', 'error'] : label ? ['a-1', 'a-2', 'a-3'] : [''];
  const result = names.map((name, i) => {
    const values: [number, string][] = [];
    for (let at = from; at <= to; at += step) {
      values.push([at, String(Math.max(1, Math.round(40 / (i + 1) + (20 / (i + 1)) * Math.sin(at / 500 + i))))]);
    }
    return { metric: name === '' ? {} : { [label?.split(',')[0] ?? '']: name }, values };
  });
  return { resultType: 'matrix', result: mock.empty ? [] : result };
}

function countsOf(query: string, mock: Mock) {
  const label = /sum by \(([\w, ]+)\)/.exec(query)?.[1];
  const at = Date.now() / 1e3;
  if (!label) {
    // A selector alone still finds lines where the filters behind it leave none.
    const none = mock.empty && query.includes('|=');
    return none ? [] : [{ metric: {}, value: [at, '12345'] }];
  }
  return ['a-1', 'a-2', 'a-3', ''].map((value, i) => ({
    metric: value === '' ? {} : { [label]: value },
    value: [at, String(6000 / (i + 1))],
  }));
}

function patternsOf(asked: URLSearchParams) {
  const [from, to] = [Number(asked.get('start')) / 1e9, Number(asked.get('end')) / 1e9];
  const step = (to - from) / 50;
  const samples = (first: number, size: number) =>
    Array.from({ length: 50 }, (_, i) => [from + i * step, i / 50 < first ? 0 : Math.round(size + size * Math.sin(i))]);
  return [
    { pattern: 'level=info msg="request <_> done" method=GET path=<_> status=200 duration=<_>', level: 'info', samples: samples(0, 60) }, // prettier-ignore
    { pattern: 'slow query on orders: <_> ms', level: 'warn', samples: samples(0, 18) },
    { pattern: 'payment failed: timeout after <_>, trace_id=<_>', level: 'error', samples: samples(0.8, 9) },
    { pattern: '<_>', level: '', samples: samples(0, 2) },
  ];
}

/** A message of the tail: `count` lines, the last of them now. */
export function tailMessage(count: number, more: object = {}): string {
  const now = Date.now();
  const values = Array.from({ length: count }, (_, i) => [
    `${now - count + i}${String(i).padStart(6, '0')}`,
    `live line ${i} of ${count}`,
  ]);
  return JSON.stringify({ streams: [{ stream: { ...STREAMS[0], detected_level: 'info' }, values }], ...more });
}
