/**
 * Answers about the metrics that are made of spans: a shop with a database, a queue, a caller from outside and a service
 * that nobody calls; or as many services as wanted, in twelve namespaces of two clusters.
 */
import type { Page, Route } from '@playwright/test';

interface Mock {
  /** Services of a made-up chain in place of the shop. */
  many?: number;
  /** Services send spans, and none of them meets another. */
  apart?: boolean;
  empty?: boolean;
  coverage?: (fromS: number, toS: number) => unknown[];
}

interface Place {
  cluster: string;
  namespace: string;
  name: string;
}

interface Edge {
  from: Place;
  to: Place;
  type: string;
  rate: number;
  failed: number;
  p95: number;
}

const place = (name: string, namespace = 'shop', cluster = 'prod-01'): Place => ({ cluster, namespace, name });
const FRONT = place('frontend');
const CART = place('cart');
const CHECKOUT = place('checkout');
const PAYMENT = place('payment', 'bank', 'prod-02');
const edge = (from: Place, to: Place, rate: number, failed: number, p95: number, type = ''): Edge => ({ from, to, rate, failed, p95, type }); // prettier-ignore

const SHOP: readonly Edge[] = [
  edge(place('user', ''), FRONT, 42, 0.4, 0.31, 'virtual_node'),
  edge(FRONT, CART, 18, 0, 0.021),
  edge(FRONT, CHECKOUT, 4.2, 0.35, 0.44),
  edge(FRONT, place('catalogue'), 31, 0, 0.012),
  edge(CART, place('redis', ''), 55, 0, 0.0012, 'database'),
  edge(CHECKOUT, PAYMENT, 4.1, 0.34, 0.39),
  edge(CHECKOUT, place('orders', ''), 4.2, 0, 0.006, 'database'),
  edge(CHECKOUT, place('mailer', 'jobs'), 3.9, 0, 1.8, 'messaging_system'),
  edge(PAYMENT, place('bank.example.com', '', 'prod-02'), 4.1, 0.33, 0.37, 'virtual_node'),
];

/** A tree with cross links: a service calls a few of those behind it. */
function chain(many: number): Edge[] {
  let seed = 11;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const at = (i: number) =>
    place(`svc-${String(i).padStart(3, '0')}`, `team-${i % 12}`, i % 12 < 7 ? 'prod-01' : 'prod-02');
  const out: Edge[] = [];
  for (let i = 1; i < many; i += 1) {
    const rate = 200 * random() ** 3 + 0.2;
    out.push(
      edge(at(Math.floor((i - 1) / 3)), at(i), rate, random() < 0.1 ? rate * random() * 0.2 : 0, random() ** 4 + 0.002),
    );
    if (random() < 0.5) out.push(edge(at(Math.floor(random() * i)), at(i), rate / 4, 0, random() ** 4 + 0.002));
  }
  return out;
}

function labelsOf(one: Edge): Record<string, string> {
  const side = (name: 'client' | 'server', at: Place) => ({
    [name]: at.name,
    ...(at.namespace ? { [`${name}_k8s_namespace_name`]: at.namespace } : {}),
    [`${name}_cluster`]: at.cluster,
  });
  return { ...side('client', one.from), ...side('server', one.to), ...(one.type ? { connection_type: one.type } : {}) };
}

function paramsOf(route: Route): URLSearchParams {
  const body = route.request().postData();
  return body ? new URLSearchParams(body) : new URL(route.request().url()).searchParams;
}

interface Value {
  metric: Record<string, string>;
  value: number;
}

export async function mockGraph(page: Page, mock: Mock = {}): Promise<{ asked: string[] }> {
  const asked: string[] = [];
  const edges = mock.empty || mock.apart ? [] : mock.many ? chain(mock.many) : SHOP;
  const answer = (route: Route, body: object, from: number, to: number) =>
    route.fulfill({ json: { status: 'success', ...body, coverage: mock.coverage?.(from, to) ?? [] } });
  await page.route(/\/api\/v1\/orrery\/(fleet|federation)/, (route) =>
    route.fulfill({ json: { nodes: [], peers: [] } }),
  );
  await page.route(/\/api\/v1\/orrery\/service_graph/, (route) => {
    const labels = {
      client: 'payment',
      cluster: 'prod-02',
      client_k8s_namespace_name: 'bank',
      server: 'ledger',
      server_cluster: 'prod-03',
    };
    const paired = mock.empty || mock.apart || mock.many ? [] : [{ labels, requests: 7200, failed: 0, p95: 0.05 }];
    return answer(route, { data: { oneIn: 8, spans: 1800, edges: paired } }, 0, 1);
  });
  await page.route(/\/jaeger\/api\/services/, (route) => route.fulfill({ json: { data: ['cart', 'checkout'] } }));
  await page.route(/\/api\/v1\/label\//, (route) => route.fulfill({ json: { status: 'success', data: [] } }));
  await page.route(/\/api\/v1\/query(\?|$)/, (route) => {
    const params = paramsOf(route);
    const expr = params.get('query') ?? '';
    asked.push(expr);
    const time = Number(params.get('time'));
    const result = valuesOf(expr, edges, mock).map(({ metric, value }) => ({ metric, value: [time, String(value)] }));
    return answer(route, { data: { resultType: 'vector', result } }, time - 3600, time);
  });
  await page.route(/\/api\/v1\/query_range/, (route) => {
    const params = paramsOf(route);
    const expr = params.get('query') ?? '';
    asked.push(expr);
    const [from, to, step] = ['start', 'end', 'step'].map((name) => Number(params.get(name))) as [
      number,
      number,
      number,
    ];
    const result = valuesOf(expr, edges, mock).map(({ metric, value }, i) => {
      const values: [number, string][] = [];
      for (let at = from; at <= to; at += step) values.push([at, String(value * (1 + 0.3 * Math.sin(at / 500 + i)))]);
      return { metric, values };
    });
    return answer(route, { data: { resultType: 'matrix', result } }, from, to);
  });
  await page.route(/\/api\/v1\/query_exemplars/, (route) => {
    const end = Number(paramsOf(route).get('end'));
    const exemplars = Array.from({ length: 12 }, (_, i) => ({
      labels: { trace_id: (0xabc0 + i).toString(16).padStart(32, '0') },
      value: String(0.1 + 0.05 * i),
      timestamp: end - 120 - i * 260,
    }));
    return answer(
      route,
      { data: [{ seriesLabels: { __name__: 'traces_spanmetrics_latency_bucket' }, exemplars }] },
      0,
      end,
    );
  });
  await page.route(/\/loki\/api\/v1\/query/, (route) =>
    answer(
      route,
      {
        data: {
          resultType: 'vector',
          result: mock.empty
            ? []
            : [
                ['info', 18_240],
                ['warn', 310],
                ['error', 42],
              ].map(([detected_level, count]) => ({ metric: { detected_level }, value: [0, String(count)] })),
        },
      },
      0,
      1,
    ),
  );
  return { asked };
}

const OPERATIONS = ['POST /checkout', 'GET /checkout/{id}', 'GET /healthz', 'checkout.confirm'] as const;

function valuesOf(expr: string, edges: readonly Edge[], mock: Mock): Value[] {
  const isQuantile = expr.includes('histogram_quantile');
  if (expr.includes('_unpaired_')) return mock.empty || mock.many ? [] : [{ metric: { what: 'unpaired' }, value: 128 }];
  if (expr.includes('traces_service_graph_')) {
    const of = (one: Edge) => (isQuantile ? one.p95 : expr.includes('_failed_') ? one.failed : one.rate);
    if (expr.includes('client_seconds')) return [];
    return edges.map((one) => ({ metric: labelsOf(one), value: of(one) })).filter(({ value }) => value > 0);
  }
  if (!expr.includes('traces_spanmetrics_')) return [];
  const service = /service="([^"]+)"/.exec(expr)?.[1];
  if (service !== undefined) return mock.empty ? [] : ofService(expr, isQuantile);
  return isQuantile ? [] : services(edges, mock);
}

/** What every service says of itself, with one that nobody calls. */
function services(edges: readonly Edge[], mock: Mock): Value[] {
  if (mock.empty) return [];
  const own = new Map<string, Place>();
  const isService = (one: Edge) => one.type === '' || one.type === 'messaging_system';
  for (const one of edges) {
    if (isService(one) || one.to === FRONT) own.set(JSON.stringify(one.to), one.to);
    if (one.from.name !== 'user') own.set(JSON.stringify(one.from), one.from);
  }
  const lonely = place('nightly-report', 'jobs');
  own.set(JSON.stringify(lonely), lonely);
  return [...own.values()].flatMap((at) => {
    const metric = { service: at.name, k8s_namespace_name: at.namespace, cluster: at.cluster };
    const reach = edges.filter((one) => one.to === at || JSON.stringify(one.to) === JSON.stringify(at));
    const failed = reach.reduce((sum, one) => sum + one.failed, 0);
    const rate = reach.reduce((sum, one) => sum + one.rate, 0);
    if (rate === 0)
      return [{ metric: { ...metric, span_kind: 'SPAN_KIND_INTERNAL', status_code: 'STATUS_CODE_UNSET' }, value: 0.1 }];
    const of = (status_code: string, value: number) => ({
      metric: { ...metric, span_kind: 'SPAN_KIND_SERVER', status_code },
      value,
    });
    return [of('STATUS_CODE_UNSET', rate - failed), of('STATUS_CODE_ERROR', failed)].filter(({ value }) => value > 0);
  });
}

function ofService(expr: string, isQuantile: boolean): Value[] {
  const q = Number(/histogram_quantile\(([\d.]+)/.exec(expr)?.[1] ?? 0);
  const byName = /by \((le, )?span_name/.test(expr);
  const one = /span_name="([^"]+)"/.exec(expr)?.[1];
  const names = byName ? OPERATIONS.filter((name) => one === undefined || name === one) : [''];
  return names.flatMap((name, i) => {
    const metric: Record<string, string> = byName ? { span_name: name } : {};
    const scale = 1 / (i + 1);
    if (isQuantile) return [{ metric, value: 0.06 * scale * (q > 0.98 ? 8 : q > 0.9 ? 4 : 1) }];
    if (!expr.includes('status_code')) return [{ metric, value: 4 * scale }];
    return [
      { metric: { ...metric, status_code: 'STATUS_CODE_UNSET' }, value: 3.8 * scale },
      { metric: { ...metric, status_code: 'STATUS_CODE_ERROR' }, value: i === 0 ? 0.35 : 0 },
    ];
  });
}
