import { describe, expect, it } from 'vitest';
import type { Labels, Series } from '../api/prom';
import { filterGraph, findNodes, foldGraph, levelsOf, usualLevel, within } from './graphview';
import { buildGraph, errorShare, type GraphAnswers, graphQueries, looseOf } from './servicegraph';

const at = (labels: Labels, value: number): Series => ({ labels, times: [0], values: [value] });
const NONE: GraphAnswers = { requests: [], failed: [], serverP95: [], clientP95: [], calls: [], callsP95: [] };

function edge(client: string, server: string, more: Labels = {}): Labels {
  const side = (text: string, name: string): Labels => {
    const [namespace, service] = text.includes('/') ? text.split('/') : [undefined, text];
    return { [name]: service ?? '', ...(namespace ? { [`${name}_k8s_namespace_name`]: namespace } : {}) };
  };
  return { cluster: 'dev', ...side(client, 'client'), ...side(server, 'server'), ...more };
}

const ANSWERS: GraphAnswers = {
  ...NONE,
  requests: [
    at(edge('user', 'shop/frontend', { connection_type: 'virtual_node' }), 10),
    at(edge('shop/frontend', 'shop/cart'), 8),
    at(edge('shop/cart', 'redis', { connection_type: 'database' }), 20),
    at(edge('shop/cart', 'bank/pay', { server_k8s_cluster_name: 'prod' }), 2),
    at(edge('bank/pay', 'mailer', { connection_type: 'messaging_system', cluster: 'prod' }), 1),
    at(edge('shop/frontend', 'gone', {}), 0),
  ],
  failed: [at(edge('shop/cart', 'bank/pay', { server_k8s_cluster_name: 'prod' }), 0.5)],
  serverP95: [at(edge('shop/frontend', 'shop/cart'), 0.2), at(edge('user', 'shop/frontend', { connection_type: 'virtual_node' }), NaN)],
  clientP95: [at(edge('shop/cart', 'redis', { connection_type: 'database' }), 0.01)],
  calls: [
    at({ service: 'frontend', k8s_namespace_name: 'shop', cluster: 'dev', span_kind: 'SPAN_KIND_SERVER', status_code: 'STATUS_CODE_OK' }, 9),
    at({ service: 'frontend', k8s_namespace_name: 'shop', cluster: 'dev', span_kind: 'SPAN_KIND_SERVER', status_code: 'STATUS_CODE_ERROR' }, 3),
    at({ service: 'frontend', k8s_namespace_name: 'shop', cluster: 'dev', span_kind: 'SPAN_KIND_CLIENT', status_code: 'STATUS_CODE_ERROR' }, 7),
    at({ service: 'batch', k8s_namespace_name: 'jobs', cluster: 'dev', span_kind: 'SPAN_KIND_INTERNAL' }, 1),
  ],
  callsP95: [at({ service: 'frontend', k8s_namespace_name: 'shop', cluster: 'dev' }, 0.4)],
}; // prettier-ignore

describe('the graph', () => {
  const graph = buildGraph(ANSWERS);
  const node = (key: string) => graph.nodes.get(key);

  it('has nodes of every kind, placed by their labels', () => {
    expect(node('dev//user')?.kind).toBe('user');
    expect(node('dev/shop/cart')?.kind).toBe('service');
    expect(node('dev//redis')?.kind).toBe('database');
    expect(node('prod//mailer')?.kind).toBe('messaging');
    expect(node('prod/bank/pay')).toMatchObject({ cluster: 'prod', namespace: 'bank', name: 'pay' });
    expect(graph.nodes.has('dev//gone')).toBe(false);
  });
  it('takes what a service says of itself before what reaches it', () => {
    expect(node('dev/shop/frontend')).toMatchObject({ rate: 12, failed: 3, p95: 0.4 });
    expect(node('dev/shop/cart')).toMatchObject({ rate: 8, failed: 0, p95: 0.2 });
  });
  it('has the calls that were counted in spans where they are more', () => {
    const labels = edge('shop/frontend', 'shop/cart');
    const other = edge('bank/pay', 'shop/batch', { cluster: 'prod', server_cluster: 'dev' });
    const paired = (requests: number) => ({ oneIn: 4, edges: [
      { labels, requests, failed: 60, p95: 0.3 },
      { labels: other, requests: 120, failed: 0, p95: 0.1 },
    ] }); // prettier-ignore
    const own = { service: 'batch', cluster: 'dev', span_kind: 'SPAN_KIND_SERVER' };
    const answers = { ...ANSWERS, calls: [at(own, 2)] };
    const of = (requests: number) => buildGraph(answers, paired(requests), 60).edges;
    const cart = (requests: number) => of(requests).find((one) => one.to === 'dev/shop/cart');
    expect(cart(60)).toMatchObject({ rate: 8, failed: 0, p95: 0.2 });
    expect(cart(600)).toMatchObject({ rate: 10, failed: 1, p95: 0.3 });
    expect(of(60).find((one) => one.from === 'prod/bank/pay' && one.rate === 2)).toMatchObject({ to: 'dev//batch' });
  });
  it('has edges with errors and percentiles', () => {
    const [first] = graph.edges;
    expect(first).toMatchObject({ to: 'dev//redis', rate: 20, p95: 0.01 });
    const pay = graph.edges.find((one) => one.to === 'prod/bank/pay');
    expect(pay && errorShare(pay)).toBe(0.25);
    expect(graph.edges.find((one) => one.from === 'dev//user')?.p95).toBeNull();
  });
  it('asks by the labels it reads', () => {
    expect(graphQueries('1h').requests).toContain('client_k8s_namespace_name');
    expect(graphQueries('1h').requests).toContain('rate(traces_service_graph_request_total[1h])');
  });

  it('tells halves that did not meet', () => {
    expect(looseOf([at({ what: 'unpaired' }, 3.98), at({ what: 'dropped' }, 1)])).toEqual({ unpaired: 4, dropped: 1 });
    expect(looseOf([])).toEqual({ unpaired: 0, dropped: 0 });
    expect(graphQueries('5m').loose).toContain('increase(traces_service_graph_unpaired_spans_total[5m])');
  });

  it('folds into namespaces and clusters, and opens again', () => {
    expect(levelsOf(graph)).toEqual(['cluster', 'namespace', 'service']);
    const folded = foldGraph(graph, 'namespace', new Set());
    expect(folded.nodes.get('dev/shop/')).toMatchObject({ kind: 'group', name: 'shop', members: 2, rate: 20 });
    expect(folded.nodes.has('dev//redis')).toBe(true);
    expect(folded.edges.map((one) => `${one.from}>${one.to}`)).not.toContain('dev/shop/>dev/shop/');
    const opened = foldGraph(graph, 'namespace', new Set(['dev/shop/']));
    expect(opened.nodes.has('dev/shop/cart')).toBe(true);
    expect(opened.nodes.has('prod/bank/')).toBe(true);
    const clusters = foldGraph(graph, 'cluster', new Set());
    expect([...clusters.nodes.keys()].sort()).toEqual(['dev//', 'prod//']);
    expect(clusters.edges).toHaveLength(1);
    expect(clusters.edges[0]).toMatchObject({ rate: 2, failed: 0.5 });
    // The graph itself is as it was.
    expect(graph.nodes.get('dev/shop/cart')?.members).toBe(1);
  });

  it('shows what fails, what is near, and who stands alone', () => {
    const filter = { errors: false, node: undefined, hops: undefined, lonely: false };
    const all = filterGraph(graph, filter);
    expect(all.nodes.has('dev/jobs/batch')).toBe(false);
    expect(all.hidden).toBe(1);
    expect(filterGraph(graph, { ...filter, lonely: true }).nodes.has('dev/jobs/batch')).toBe(true);
    expect([...filterGraph(graph, { ...filter, errors: true }).nodes.keys()]).toEqual([
      'dev/shop/cart',
      'prod/bank/pay',
    ]);
    const near = filterGraph(graph, { ...filter, node: 'dev/shop/cart', hops: 1 });
    expect([...near.nodes.keys()].sort()).toEqual([
      'dev//redis',
      'dev/shop/cart',
      'dev/shop/frontend',
      'prod/bank/pay',
    ]);
    expect(within(graph.edges, 'dev/shop/cart', 2).has('dev//user')).toBe(true);
    expect([...findNodes(graph, 'SHOP')].sort()).toEqual(['dev/shop/cart', 'dev/shop/frontend']);
  });

  it('is folded by itself where there are too many to read', () => {
    const requests = Array.from({ length: 200 }, (_, i) =>
      at(edge(`ns${i % 12}/s${i}`, `ns${(i + 1) % 12}/s${i + 1}`), 1),
    );
    const many = buildGraph({ ...NONE, requests });
    expect(usualLevel(many)).toBe('namespace');
    expect(usualLevel(graph)).toBe('service');
    expect(foldGraph(many, 'namespace', new Set()).nodes.size).toBe(12);
  });
});
