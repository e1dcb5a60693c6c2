/**
 * Answers of a node with peers, so that what pages make of a federation can be tested against a node that has none: four
 * clusters, of which one is missing, one is late, and one is a pair of replicas.
 */
import type { Page, Route } from '@playwright/test';

const DAY = 86_400;

export function nowSeconds(): number {
  return Date.now() / 1e3;
}

function signals(now: number, behind: number, told = true) {
  return (['metrics', 'logs', 'traces'] as const).map((signal, i) => ({
    signal,
    items_total: told ? 4_200_000 / (i + 1) : undefined,
    items_accepted: told ? 4_200_000 / (i + 1) : undefined,
    items_per_second: told ? 5200 / (i + 1) : null,
    series: told && i === 0 ? 48_210 : null,
    bytes_stored: told ? 8.4e9 / (i + 1) : null,
    segments: told ? 40 - i : null,
    head_bytes: told ? 2.1e8 : null,
    oldest: now - 9 * DAY,
    newest: now - behind - i,
  }));
}

function node(cluster: string, replica: string | null, behind: number, more: object = {}) {
  const now = nowSeconds();
  return {
    cluster,
    replica,
    version: '0.4.0',
    started_at: now - 3 * DAY,
    uptime_seconds: 3 * DAY,
    memory: { limit_bytes: 8e9, used_bytes: 3.1e9 },
    disk: { total_bytes: 4e11, free_bytes: 2.4e11, used_bytes: 1.1e11 },
    refusing: null,
    tenants: ['default'],
    signals: signals(now, behind),
    reached: true,
    link: { peer: cluster },
    ...more,
  };
}

export function fleetAnswer() {
  return {
    nodes: [
      node('ops-01', null, 2, { link: null }),
      node('prod-01', 'a', 3, { memory: { limit_bytes: 8e9, used_bytes: 7.5e9 } }),
      node('prod-01', 'b', 4, { version: '0.3.9' }),
      node('edge-07', null, 142),
      // Known by its announcement alone.
      node('dev-01', null, 0, {
        memory: null,
        disk: null,
        version: null,
        tenants: null,
        started_at: null,
        uptime_seconds: null,
        signals: signals(nowSeconds(), 1100, false),
        reached: false,
      }),
    ],
  };
}

function peer(name: string, replica: string | null, more: object) {
  const now = nowSeconds();
  return {
    name,
    replica,
    address: `${name}.example.com:9495`,
    kind: 'orrery',
    direction: 'out',
    state: 'up',
    since: now - 2 * DAY,
    last_error: null,
    version: '0.4.0',
    labels: { cluster: name, env: name.startsWith('prod') ? 'prod' : 'test' },
    signals: [
      { signal: 'metrics', oldest: now - 30 * DAY, watermark: now - 4 },
      { signal: 'logs', oldest: now - 14 * DAY, watermark: now - 5 },
      { signal: 'traces', oldest: now - 7 * DAY, watermark: now - 3 },
    ],
    certificate_expires_at: now + 90.5 * DAY,
    asked_total: 18_204,
    partial_total: 0,
    missing_total: 0,
    latency_seconds: { p50: 0.018, p99: 0.21 },
    replication: {},
    ...more,
  };
}

export function federationAnswer() {
  const now = nowSeconds();
  const mirrored = { metrics: 'mirrored', logs: 'sharded', traces: 'sharded' };
  return {
    cluster: 'ops-01',
    replica: null,
    certificate_expires_at: now + 62.5 * DAY,
    peers: [
      peer('prod-01', 'a', { replication: mirrored, certificate_expires_at: now + 21.5 * DAY }),
      peer('prod-01', 'b', { replication: mirrored, version: '0.3.9', latency_seconds: { p50: 0.022, p99: 0.94 } }),
      peer('edge-07', null, {
        direction: 'in',
        address: '',
        signals: [{ signal: 'metrics', oldest: now - 20 * DAY, watermark: now - 142 }],
        certificate_expires_at: now + 5.5 * DAY,
        partial_total: 12,
      }),
      peer('dev-01', null, {
        state: 'open',
        since: now - 1100,
        last_error: 'dev-01.example.com:9495: no answer within 10 s',
        missing_total: 1310,
        latency_seconds: { p50: 0.4, p99: 10 },
      }),
      peer('legacy', null, {
        kind: 'prometheus',
        address: 'http://prometheus:9090',
        version: '3.5.0',
        certificate_expires_at: null,
        signals: [{ signal: 'metrics', oldest: null, watermark: null }],
        latency_seconds: null,
      }),
    ],
    recent: Array.from({ length: 40 }, (_, i) => ({
      at: now - 20 - i * 31,
      signal: ['metrics', 'logs', 'traces'][i % 3],
      cluster: i % 7 === 3 ? 'edge-07' : 'dev-01',
      replica: null,
      state: i % 7 === 3 ? 'late' : 'missing',
      reason: i % 7 === 3 ? 'newest item is 2m 22s old' : 'no answer within 10 s',
    })),
  };
}

/** Of an answer over the range: two are whole, one ends early, one has a hole, one was not there. */
export function coverageAnswer(signal: string, fromS: number, toS: number) {
  const row = (cluster: string, state: string, covered: number[][], reason = '', replica: string | null = null) => ({
    cluster,
    replica,
    signal,
    state,
    covered,
    watermark: state === 'missing' ? null : toS - (state === 'late' ? (toS - fromS) * 0.12 : 4),
    reason,
  });
  const at = (share: number) => fromS + (toS - fromS) * share;
  return [
    row('dev-01', 'missing', [], 'no answer within 10 s'),
    row('edge-07', 'late', [[fromS, at(0.88)]], 'newest item is 2m 22s old'),
    row('legacy', 'partial', [[fromS, at(0.3)], [at(0.42), toS]], 'connection reset by peer'), // prettier-ignore
    row('ops-01', 'complete', [[fromS, toS]]),
    row('prod-01', 'complete', [[fromS, toS]], 'replica b did not answer, replica a has all of it'),
  ];
}

interface Mesh {
  /** Who lacks something; everybody is whole without it. */
  coverage?: (signal: string, fromS: number, toS: number) => unknown[];
  federation?: () => unknown;
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';

/** A request that begins in one cluster and goes through two more. */
export function traceAnswer() {
  const start = Math.round((nowSeconds() - 120) * 1e6);
  const processes = {
    p1: { serviceName: 'frontend', tags: [{ key: 'k8s.cluster.name', value: 'ops-01' }] },
    p2: { serviceName: 'checkout', tags: [{ key: 'k8s.cluster.name', value: 'prod-01' }] },
    p3: { serviceName: 'ledger', tags: [{ key: 'k8s.cluster.name', value: 'edge-07' }] },
  };
  const span = (id: number, parent: number, processID: string, name: string, from: number, long: number) => ({
    traceID: TRACE,
    spanID: id.toString(16).padStart(16, '0'),
    operationName: name,
    references: parent ? [{ refType: 'CHILD_OF', traceID: TRACE, spanID: parent.toString(16).padStart(16, '0') }] : [],
    startTime: start + from,
    duration: long,
    tags: [],
    logs: [],
    processID,
  });
  return {
    traceID: TRACE,
    processes,
    spans: [
      span(1, 0, 'p1', 'GET /cart', 0, 480_000),
      span(2, 1, 'p1', 'call checkout', 30_000, 420_000),
      span(3, 2, 'p2', 'POST /checkout', 42_000, 396_000),
      span(4, 3, 'p2', 'SELECT stock', 60_000, 80_000),
      span(5, 3, 'p3', 'book', 160_000, 120_000),
      span(6, 5, 'p3', 'INSERT entry', 180_000, 90_000),
      span(7, 99, 'p3', 'confirm', 300_000, 60_000),
    ],
  };
}

export async function mockMesh(page: Page, mesh: Mesh = {}): Promise<void> {
  const json = (route: Route, body: unknown) => route.fulfill({ json: body });
  await page.route(/\/api\/v1\/orrery\/fleet/, (route) => json(route, fleetAnswer()));
  await page.route(/\/api\/v1\/orrery\/federation/, (route) => json(route, (mesh.federation ?? federationAnswer)()));
  await page.route(/\/api\/v1\/query_range/, (route) => json(route, rangeAnswer(params(route), 'metrics', 1, mesh)));
  await page.route(/\/api\/v1\/label\/cluster\/values/, (route) =>
    json(route, { status: 'success', data: ['dev-01', 'edge-07', 'ops-01', 'prod-01'] }),
  );
  await page.route(/\/api\/v1\/(labels|label\/(?!cluster\/)[^/]+\/values)/, (route) =>
    json(route, { status: 'success', data: ['env', 'job'] }),
  );
  await page.route(/\/api\/v1\/metadata/, (route) => json(route, { status: 'success', data: {} }));
  await page.route(/\/loki\/api\/v1\/labels/, (route) => json(route, { status: 'success', data: ['job'] }));
  await page.route(/\/loki\/api\/v1\/query_range/, (route) => {
    const asked = params(route);
    if (asked.get('direction')) return json(route, linesAnswer(asked, mesh));
    return json(route, rangeAnswer(asked, 'logs', 1e9, mesh));
  });
  await page.route(/\/jaeger\/api\/traces\//, (route) => {
    const now = nowSeconds();
    return json(route, { data: [traceAnswer()], coverage: mesh.coverage?.('traces', now - 3600, now) ?? [] });
  });
}

function params(route: Route): URLSearchParams {
  const body = route.request().postData();
  return body ? new URLSearchParams(body) : new URL(route.request().url()).searchParams;
}

function rangeAnswer(asked: URLSearchParams, signal: string, unit: number, mesh: Mesh) {
  const from = Number(asked.get('start')) / unit;
  const to = Number(asked.get('end')) / unit;
  const step = Number(asked.get('step'));
  const clusters = signal === 'logs' ? ['info', 'error'] : ['edge-07', 'legacy', 'ops-01', 'prod-01'];
  const result = clusters.map((name, i) => {
    const values: [number, string][] = [];
    for (let at = from; at <= to; at += step) {
      const share = (at - from) / Math.max(1, to - from);
      if (name === 'edge-07' && share > 0.88) continue;
      if (name === 'legacy' && share > 0.3 && share < 0.42) continue;
      values.push([at, String(100 * (i + 1) + 20 * Math.sin(at / 400 + i))]);
    }
    return { metric: signal === 'logs' ? { level: name } : { cluster: name, signal: 'metrics' }, values };
  });
  return {
    status: 'success',
    data: { resultType: 'matrix', result },
    coverage: mesh.coverage?.(signal, from, to) ?? [],
  };
}

function linesAnswer(asked: URLSearchParams, mesh: Mesh) {
  const from = Number(asked.get('start')) / 1e9;
  const to = Number(asked.get('end')) / 1e9;
  const values = Array.from({ length: 60 }, (_, i) => [
    `${Math.round((to - i * 7) * 1e3)}000000`,
    `level=info msg="request ${i} done" ms=${12 + i}`,
  ]);
  return {
    status: 'success',
    data: { resultType: 'streams', result: [{ stream: { job: 'shop', cluster: 'prod-01' }, values }] },
    coverage: mesh.coverage?.('logs', from, to) ?? [],
  };
}
