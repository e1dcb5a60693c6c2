/**
 * Answers of the Tempo API over made-up traces: 900 over the range, newest first, of four services and two regions, of
 * which those of the region `eu` in its middle are slow and fail.
 */
import type { Page, Route } from '@playwright/test';

export const TOTAL = 900;

interface Made {
  id: string;
  startMs: number;
  durationUs: number;
  isError: boolean;
  region: string;
  service: string;
  operation: string;
}

interface Mock {
  /** No span was ever sent. */
  empty?: boolean;
  coverage?: (fromS: number, toS: number) => unknown[];
  /** Answers of searches and metrics wait this long. */
  delayMs?: number;
}

export interface Mocked {
  /** Every query that was sent, with its path. */
  asked: { path: string; q: string; params: URLSearchParams }[];
  traces: readonly Made[];
}

const SERVICES = ['frontend', 'checkout', 'payment', 'ledger'] as const;
const OPERATIONS = ['GET /', 'POST /cart', 'GET /cart', 'POST /checkout'] as const;

function make(endMs: number, rangeMs: number): Made[] {
  let seed = 42;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  return Array.from({ length: TOTAL }, (_, i) => {
    const at = (i + 0.5) / TOTAL;
    const region = random() < 0.3 ? 'eu' : 'us';
    const isSlow = region === 'eu' && at > 0.35 && at < 0.55;
    const durationUs = Math.round(
      (isSlow ? 1.2e6 + random() * 2e6 : 4e3 * 2 ** (random() * 7)) * (0.8 + random() * 0.4),
    );
    return {
      id: (0x1000 + i).toString(16).padStart(32, 'a'),
      startMs: endMs - 2000 - at * (rangeMs - 4000),
      durationUs,
      isError: isSlow ? random() < 0.6 : random() < 0.01,
      region,
      service: SERVICES[i % 4 === 3 ? 1 : 0] ?? 'frontend',
      operation: OPERATIONS[i % 4] ?? 'GET /',
    };
  });
}

function wire(one: Made) {
  const ns = `${Math.floor(one.startMs)}${String(Math.round((one.startMs % 1) * 1e6)).padStart(6, '0')}`;
  return {
    traceID: one.id,
    rootServiceName: one.service,
    rootTraceName: one.operation,
    startTimeUnixNano: ns,
    durationMs: Math.floor(one.durationUs / 1e3),
    spanSets: [
      {
        matched: 1,
        spans: [
          {
            spanID: one.id.slice(-16),
            name: one.operation,
            startTimeUnixNano: ns,
            durationNanos: String(one.durationUs * 1e3),
            attributes: [{ key: 'region', value: { stringValue: one.region } }],
          },
        ],
      },
    ],
    serviceStats: {
      [one.service]: { spanCount: 4 },
      payment: { spanCount: 2, errorCount: one.isError ? 1 : 0 },
      ledger: { spanCount: 1 + (one.durationUs % 5) },
    },
  };
}

/** As far as the tests write conditions. */
function passes(one: Made, q: string): boolean {
  const outside = q.replace(/\| compare\(.*$/s, '');
  if (/status = error/.test(outside) && !one.isError) return false;
  const region = /region = "(\w+)"/.exec(outside);
  if (region && region[1] !== one.region) return false;
  const service = /resource\.service\.name = "(\w+)"/.exec(outside);
  if (service && service[1] !== one.service) return false;
  return inDurations(one, outside);
}

const US: Record<string, number> = { ns: 1e-3, us: 1, ms: 1e3, s: 1e6 };

function inDurations(one: Made, q: string): boolean {
  for (const [, op, number, unit] of q.matchAll(/duration (>=|<=|<|>) ([\d.]+)(ns|us|ms|s)/g)) {
    const bound = Number(number) * (US[unit ?? 'us'] ?? 1);
    if (op?.startsWith('>') ? one.durationUs < bound : one.durationUs >= bound) return false;
  }
  return true;
}

function paramsOf(route: Route): URLSearchParams {
  const body = route.request().postData();
  return body ? new URLSearchParams(body) : new URL(route.request().url()).searchParams;
}

export async function mockSpans(page: Page, mock: Mock = {}): Promise<Mocked> {
  const asked: Mocked['asked'] = [];
  const endMs = Date.now();
  const all = mock.empty ? [] : make(endMs, 36e5);
  const answer = async (route: Route, path: string, body: (params: URLSearchParams) => object) => {
    const params = paramsOf(route);
    asked.push({ path, q: params.get('q') ?? '', params });
    if (mock.delayMs) await new Promise((resolve) => setTimeout(resolve, mock.delayMs));
    const coverage = mock.coverage?.(Number(params.get('start')), Number(params.get('end'))) ?? [];
    await route.fulfill({ json: { ...body(params), coverage } });
  };
  await page.route(/\/api\/v1\/orrery\/(fleet|federation)/, (route) =>
    route.fulfill({ json: { nodes: [], peers: [] } }),
  );
  await page.route(/\/api\/search\?/, (route) =>
    answer(route, 'search', (params) => {
      const [from, to] = [Number(params.get('start')) * 1e3, Number(params.get('end')) * 1e3];
      const hits = all.filter(
        (one) => one.startMs <= to && one.startMs + one.durationUs / 1e3 >= from && passes(one, params.get('q') ?? ''),
      );
      return {
        traces: hits.slice(0, Number(params.get('limit'))).map(wire),
        metrics: { inspectedTraces: hits.length, inspectedBytes: '123456' },
      };
    }),
  );
  await page.route(/\/api\/metrics\/query_range/, (route) =>
    answer(route, 'metrics', (params) => ({ series: metric(all, params) })),
  );
  await page.route(/\/api\/metrics\/query\?/, (route) =>
    answer(route, 'instant', (params) => ({
      series: compare(
        all.filter((one) => passes(one, params.get('q') ?? '')),
        params.get('q') ?? '',
      ).map(({ labels, samples }) => ({ labels, value: samples[0]?.value ?? 0 })),
    })),
  );
  await page.route(/\/api\/v2\/search\/tags/, (route) =>
    answer(route, 'tags', () => ({
      scopes: [
        { name: 'resource', tags: ['service.name', 'k8s.cluster.name', 'k8s.namespace.name'] },
        { name: 'span', tags: ['http.route', 'http.status_code', 'region'] },
        { name: 'intrinsic', tags: ['duration', 'kind', 'name', 'status'] },
      ],
    })),
  );
  await page.route(/\/api\/v2\/search\/tag\//, (route) =>
    answer(route, 'values', () => {
      const names = route.request().url().includes('/tag/name/') ? OPERATIONS : mock.empty ? [] : SERVICES;
      return { tagValues: names.map((value) => ({ type: 'string', value })) };
    }),
  );
  return { asked, traces: all };
}

type Label = readonly [string, string | number];

function series(labels: readonly Label[], samples: readonly (readonly [number, number])[]) {
  return {
    labels: labels.map(([key, value]) => ({
      key,
      value: typeof value === 'number' ? { doubleValue: value } : { stringValue: value },
    })),
    promLabels: '',
    samples: samples.map(([t, value]) => ({ timestampMs: String(t * 1e3), ...(value === 0 ? {} : { value }) })),
  };
}

function metric(all: readonly Made[], params: URLSearchParams) {
  const q = params.get('q') ?? '';
  const [from, to] = [Number(params.get('start')), Number(params.get('end'))];
  const step = Number((params.get('step') ?? '60').replace('s', ''));
  const hits = all.filter((one) => passes(one, q));
  const steps: number[] = [];
  for (let at = from + step; at <= to; at += step) steps.push(at);
  const inStep = (at: number) => hits.filter((one) => one.startMs > (at - step) * 1e3 && one.startMs <= at * 1e3);
  const byStep = steps.map((at) => [at, inStep(at)] as const);
  if (q.includes('quantile_over_time')) {
    return [0.5, 0.95, 0.99].map((p) =>
      series(
        [['p', p]],
        byStep.flatMap(([at, spans]) => {
          const sorted = spans.map((one) => one.durationUs / 1e6).sort((a, b) => a - b);
          const value = sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];
          return value === undefined ? [] : [[at, value] as const];
        }),
      ),
    );
  }
  if (q.includes('histogram_over_time')) {
    const bucket = (one: Made) => 2 ** Math.ceil(Math.log2(one.durationUs / 1e6));
    return [...new Set(hits.map(bucket))].map((le) =>
      series(
        [['__bucket', le]],
        byStep.map(([at, spans]) => [at, spans.filter((one) => bucket(one) === le).length] as const),
      ),
    );
  }
  const count = (of: (one: Made) => boolean) =>
    byStep.map(([at, spans]) => [at, spans.filter(of).length / step] as const);
  return [
    series(
      [['status', 'error']],
      count((one) => one.isError),
    ),
    series(
      [['status', 'ok']],
      count((one) => !one.isError),
    ),
  ];
}

function compare(hits: readonly Made[], q: string) {
  const stage = /compare\(\{(.*?)\}, \d+, (\d+), (\d+)\)/s.exec(q);
  const [from, to] = [Number(stage?.[2]) / 1e6, Number(stage?.[3]) / 1e6];
  const chosen = hits.filter((one) => one.startMs >= from && one.startMs < to && inDurations(one, stage?.[1] ?? ''));
  const rest = hits.filter((one) => !chosen.includes(one));
  const attributes: [string, (one: Made) => string][] = [
    ['span.region', (one) => one.region],
    ['status', (one) => (one.isError ? 'error' : 'ok')],
    ['name', (one) => one.operation],
    ['resource.service.name', (one) => one.service],
  ];
  return attributes.flatMap(([name, of]) =>
    [['selection', chosen] as const, ['baseline', rest] as const].flatMap(([kind, spans]) => [
      ...[...new Set(spans.map(of))].map((value) =>
        series(
          [
            ['__meta_type', kind],
            [name, value],
          ],
          [[0, spans.filter((one) => of(one) === value).length]],
        ),
      ),
      series(
        [
          ['__meta_type', `${kind}_total`],
          [name, 'nil'],
        ],
        [[0, spans.length]],
      ),
    ]),
  );
}
