/**
 * The map of services out of the metrics that are made of spans: who calls whom, how often, with which share of errors and
 * how slowly. Names are those of Tempo's metrics generator and OpenTelemetry's service graph connector.
 */
import type { Labels, Series } from '../api/prom';

export type NodeKind = 'service' | 'database' | 'messaging' | 'user' | 'outside' | 'group';

export interface Rates {
  /** Requests per second. */
  rate: number;
  /** Of them failed, per second. */
  failed: number;
  /** Seconds; null where nothing says. */
  p95: number | null;
}

export interface GraphNode extends Rates {
  key: string;
  name: string;
  cluster: string;
  namespace: string;
  kind: NodeKind;
  /** Services inside, where it stands for several. */
  members: number;
}

export interface GraphEdge extends Rates {
  from: string;
  to: string;
  /** As the metric has it: empty, `database`, `messaging_system`, `virtual_node`. */
  type: string;
}

export interface ServiceGraph {
  nodes: ReadonlyMap<string, GraphNode>;
  edges: readonly GraphEdge[];
}

export const REQUESTS = 'traces_service_graph_request_total';
export const FAILED = 'traces_service_graph_request_failed_total';
const SERVER_SECONDS = 'traces_service_graph_request_server_seconds_bucket';
const CLIENT_SECONDS = 'traces_service_graph_request_client_seconds_bucket';
export const CALLS = 'traces_spanmetrics_calls_total';
export const LATENCY = 'traces_spanmetrics_latency';
/** Spans that waited for their other half and were let go of: too long, or too many at once. */
const UNPAIRED = 'traces_service_graph_unpaired_spans_total';
const DROPPED = 'traces_service_graph_dropped_spans_total';

/** Labels that name a namespace or a cluster, the best first; which of them there are is the sender's choice. */
const NAMESPACE = ['k8s_namespace_name', 'service_namespace', 'namespace'];
const CLUSTER = ['k8s_cluster_name', 'cluster'];
const sided = (side: string, names: readonly string[]) => names.map((name) => `${side}_${name}`);
const EDGE_LABELS = [
  'client',
  'server',
  'connection_type',
  'cluster',
  ...['client', 'server'].flatMap((side) => sided(side, [...NAMESPACE, ...CLUSTER])),
];
const SERVICE_LABELS = ['service', ...NAMESPACE, ...CLUSTER];

export interface GraphQueries {
  requests: string;
  failed: string;
  serverP95: string;
  clientP95: string;
  calls: string;
  callsP95: string;
  /** Halves of edges that never met the other, by `what`: `unpaired` and `dropped`. */
  loose: string;
}

const SERVED = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"';

/** `window` as PromQL writes durations: the whole of the range, asked at its end. */
export function graphQueries(window: string): GraphQueries {
  const by = (labels: readonly string[], inner: string) => `sum by (${labels.join(', ')}) (${inner})`;
  const p95 = (labels: readonly string[], bucket: string) =>
    `histogram_quantile(0.95, ${by(['le', ...labels], `rate(${bucket}[${window}])`)})`;
  return {
    requests: by(EDGE_LABELS, `rate(${REQUESTS}[${window}])`),
    failed: by(EDGE_LABELS, `rate(${FAILED}[${window}])`),
    serverP95: p95(EDGE_LABELS, SERVER_SECONDS),
    clientP95: p95(EDGE_LABELS, CLIENT_SECONDS),
    calls: by([...SERVICE_LABELS, 'span_kind', 'status_code'], `rate(${CALLS}[${window}])`),
    callsP95: p95(SERVICE_LABELS, `${LATENCY}_bucket{${SERVED}}`),
    loose: [
      [UNPAIRED, 'unpaired'],
      [DROPPED, 'dropped'],
    ]
      .map(([metric, what]) => `label_replace(sum(increase(${metric}[${window}])), "what", "${what}", "", "")`)
      .join(' or '),
  };
}

export type GraphAnswers = Record<Exclude<keyof GraphQueries, 'loose'>, readonly Series[]>;

/** Requests counted in spans, where no node has both of their halves: labels as the metrics have them. */
export interface PairedEdge {
  labels: Labels;
  requests: number;
  failed: number;
  /** Seconds. */
  p95: number;
}

export interface PairedEdges {
  /** Of so many traces one was read. */
  oneIn: number;
  edges: readonly PairedEdge[];
}

export interface Loose {
  unpaired: number;
  dropped: number;
}

export function looseOf(series: readonly Series[]): Loose {
  const of = (what: string) =>
    Math.round(series.filter((one) => one.labels.what === what).reduce((sum, one) => sum + lastOf(one), 0));
  return { unpaired: of('unpaired'), dropped: of('dropped') };
}

export function nodeKey(cluster: string, namespace: string, name: string): string {
  return `${cluster}/${namespace}/${name}`;
}

function first(labels: Labels, names: readonly string[]): string {
  return names.map((name) => labels[name]).find((value) => value !== undefined && value !== '') ?? '';
}

function sideOf(labels: Labels, side: 'client' | 'server'): { cluster: string; namespace: string; name: string } {
  return {
    cluster: first(labels, [...sided(side, CLUSTER), 'cluster']),
    namespace: first(labels, sided(side, NAMESPACE)),
    name: labels[side] ?? '',
  };
}

function lastOf(one: Series): number {
  const value = one.values[one.values.length - 1] ?? NaN;
  return Number.isFinite(value) ? value : 0;
}

function edgeKey(labels: Labels): string {
  const [from, to] = [sideOf(labels, 'client'), sideOf(labels, 'server')];
  const ends = [from, to].map((one) => nodeKey(one.cluster, one.namespace, one.name));
  return JSON.stringify([...ends, labels.connection_type ?? '']);
}

/** Sums over series that are one edge once labels nobody asked for are left out. */
function sumByEdge(series: readonly Series[]): Map<string, number> {
  const out = new Map<string, number>();
  for (const one of series) out.set(edgeKey(one.labels), (out.get(edgeKey(one.labels)) ?? 0) + lastOf(one));
  return out;
}

function mostByEdge(series: readonly Series[]): Map<string, number> {
  const out = new Map<string, number>();
  for (const one of series) {
    const value = one.values[one.values.length - 1];
    if (value === undefined || !Number.isFinite(value)) continue;
    out.set(edgeKey(one.labels), Math.max(out.get(edgeKey(one.labels)) ?? 0, value));
  }
  return out;
}

/** The user that Tempo names where a request begins outside of everything that sends spans. */
const USER = 'user';

/**
 * What spans say of the requests of so many seconds. Metrics may be told not to have namespaces: where a service is `known`
 * without one, it is that one.
 */
function pairedRates(paired: PairedEdges, seconds: number, known: ReadonlySet<string>): Map<string, Rates> {
  const bare = (key: string) => nodeKey(partsOf(key).cluster, '', partsOf(key).name);
  const settled = (key: string) => (!known.has(key) && known.has(bare(key)) ? bare(key) : key);
  const out = new Map<string, Rates>();
  for (const { labels, requests, failed, p95 } of paired.edges) {
    const [from = '', to = '', type = ''] = JSON.parse(edgeKey(labels)) as string[];
    const key = JSON.stringify([settled(from), settled(to), type]);
    const before = out.get(key);
    out.set(key, {
      rate: (before?.rate ?? 0) + requests / seconds,
      failed: (before?.failed ?? 0) + failed / seconds,
      p95: Math.max(before?.p95 ?? 0, p95),
    });
  }
  return out;
}

/** `paired` is of the last so many `seconds`. What a node saw whole is in both, so that the larger number holds. */
export function buildGraph(answers: GraphAnswers, paired?: PairedEdges, seconds = 1): ServiceGraph {
  const nodes = new Map<string, GraphNode>();
  const own = servicesOf(answers);
  const failed = sumByEdge(answers.failed);
  const server = mostByEdge(answers.serverP95);
  const client = mostByEdge(answers.clientP95);
  const edges: GraphEdge[] = [];
  const seen = new Map<string, Rates>(paired ? pairedRates(paired, seconds, new Set(own.keys())) : []);
  for (const [key, rate] of sumByEdge(answers.requests)) {
    if (!(rate > (seen.get(key)?.rate ?? 0))) continue;
    seen.set(key, { rate, failed: Math.min(rate, failed.get(key) ?? 0), p95: server.get(key) ?? client.get(key) ?? null }); // prettier-ignore
  }
  for (const [key, rates] of seen) {
    const [from = '', to = '', type = ''] = JSON.parse(key) as string[];
    edges.push({ from, to, type, ...rates });
    place(nodes, from, kindOfClient(from, type, own));
    place(nodes, to, kindOfServer(to, type, own));
  }
  for (const [key, rates] of own) {
    place(nodes, key, 'service');
    const node = nodes.get(key);
    if (node) Object.assign(node, rates);
  }
  addUp(nodes, edges, own);
  edges.sort((a, b) => b.rate - a.rate || a.from.localeCompare(b.from) || a.to.localeCompare(b.to));
  return { nodes, edges };
}

function kindOfClient(key: string, type: string, own: ReadonlyMap<string, Rates>): NodeKind {
  const { name } = partsOf(key);
  return type === 'virtual_node' && name === USER && !own.has(key) ? 'user' : 'service';
}

function kindOfServer(key: string, type: string, own: ReadonlyMap<string, Rates>): NodeKind {
  if (own.has(key)) return 'service';
  if (type === 'database') return 'database';
  if (type === 'messaging_system') return 'messaging';
  return type === 'virtual_node' ? 'outside' : 'service';
}

export function partsOf(key: string): { cluster: string; namespace: string; name: string } {
  const [cluster = '', namespace = '', ...name] = key.split('/');
  return { cluster, namespace, name: name.join('/') };
}

function place(nodes: Map<string, GraphNode>, key: string, kind: NodeKind): void {
  const seen = nodes.get(key);
  // What sends spans of its own is a service, whatever an edge took it for.
  if (seen) {
    if (kind === 'service') seen.kind = 'service';
    return;
  }
  nodes.set(key, { key, ...partsOf(key), kind, members: 1, rate: 0, failed: 0, p95: null });
}

/** What does not count its own requests is told by those that reach it. */
function addUp(nodes: Map<string, GraphNode>, edges: readonly GraphEdge[], own: ReadonlyMap<string, Rates>): void {
  for (const edge of edges) {
    const node = nodes.get(edge.to);
    if (!node || (own.get(edge.to)?.rate ?? 0) > 0) continue;
    node.rate += edge.rate;
    node.failed += edge.failed;
    if (edge.p95 !== null) node.p95 = Math.max(node.p95 ?? 0, edge.p95);
  }
}

/** What every service says of the requests it serves. */
function servicesOf(answers: Pick<GraphAnswers, 'calls' | 'callsP95'>): Map<string, Rates> {
  const out = new Map<string, Rates>();
  const keyOf = (labels: Labels) => nodeKey(first(labels, CLUSTER), first(labels, NAMESPACE), labels.service ?? '');
  for (const one of answers.calls) {
    if ((one.labels.service ?? '') === '') continue;
    const rates = out.get(keyOf(one.labels)) ?? { rate: 0, failed: 0, p95: null };
    out.set(keyOf(one.labels), rates);
    if (!/SERVER|CONSUMER/.test(one.labels.span_kind ?? '')) continue;
    rates.rate += lastOf(one);
    if ((one.labels.status_code ?? '').endsWith('ERROR')) rates.failed += lastOf(one);
  }
  for (const one of answers.callsP95) {
    const rates = out.get(keyOf(one.labels));
    const value = one.values[one.values.length - 1];
    if (rates && value !== undefined && Number.isFinite(value)) rates.p95 = Math.max(rates.p95 ?? 0, value);
  }
  return out;
}

export function errorShare(one: Rates): number {
  return one.rate > 0 ? one.failed / one.rate : 0;
}

export const KIND_WORDS: Readonly<Record<NodeKind, string>> = {
  service: 'service',
  database: 'database',
  messaging: 'queue',
  user: 'outside caller',
  outside: 'sends no spans',
  group: 'group',
};

export const TYPE_WORDS: Readonly<Record<string, string>> = {
  '': 'request',
  database: 'database',
  messaging_system: 'messaging',
  virtual_node: 'one side only',
};
