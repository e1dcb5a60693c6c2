/**
 * The URL codec. The address bar is the only store of view state: every page reads its typed search object from
 * here and writes it back through the router, so that a copied address shows what was on the screen.
 *
 * A value is text, a repeated key is a list, a default is left out. What does not fit its grammar is dropped,
 * never an error page: an address mangled by a chat program should still open.
 */
import { parseScope, scopeTexts } from '../lib/scope';
import { parseTime } from '../lib/time';

export type RawSearch = Record<string, string | string[]>;

export function parseSearch(text: string): RawSearch {
  const out: RawSearch = {};
  for (const [key, value] of new URLSearchParams(text)) {
    const seen = out[key];
    if (seen === undefined) out[key] = value;
    else if (Array.isArray(seen)) seen.push(value);
    else out[key] = [seen, value];
  }
  return out;
}

export function stringifySearch(search: Record<string, unknown>): string {
  const out = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    if (value === undefined || value === null || value === '') continue;
    if (Array.isArray(value)) for (const item of value) out.append(key, String(item));
    else out.append(key, String(value));
  }
  // Readable where the grammar allows: these stand for themselves inside a query.
  const text = out.toString().replace(/%2C/g, ',').replace(/%2F/g, '/').replace(/%3A/g, ':');
  return text ? `?${text}` : '';
}

export const DEFAULT_FROM = 'now-1h';
export const DEFAULT_TO = 'now';
export const REFRESH_CHOICES = ['5s', '10s', '30s', '1m', '5m'] as const;

export interface CommonSearch {
  from?: string | undefined;
  to?: string | undefined;
  refresh?: string | undefined;
  tenant?: string | undefined;
  tz?: 'utc' | undefined;
  /** Clusters and labels that everything is about, `name=value` for each. */
  scope?: string[] | undefined;
  /** Replicas stand apart. */
  dedup?: 'false' | undefined;
  /** Incomplete answers are refused. */
  partial?: 'deny' | undefined;
}

export interface FleetSearch extends CommonSearch {
  /** Clusters whose fold differs from the default. */
  open?: string[] | undefined;
}

export interface FederationSearch extends CommonSearch {
  /** The peer that is open, `cluster` or `cluster/replica`. */
  peer?: string | undefined;
  /** Peers to show: all of them, or those that need somebody. */
  show?: 'trouble' | undefined;
}

export interface PipelinesSearch extends CommonSearch {
  /** Destinations whose fold differs from the default. */
  open?: string[] | undefined;
  /** Text in the list of sources, and its order. */
  find?: string | undefined;
  sort?: string | undefined;
  /** Plots as tables. */
  values?: 'on' | undefined;
}

export interface MetricsSearch extends CommonSearch {
  q?: string[] | undefined;
  /** One letter per query: g graph, h heat map, v values of the graph, t table, x explain; capital when it is switched off. */
  tabs?: string | undefined;
  /** How many series a chart may draw. */
  cap?: number | undefined;
  /** Text in the metric browser. */
  find?: string | undefined;
  browse?: 'off' | undefined;
  /** The name of the one series that charts show. */
  solo?: string | undefined;
  /** Exemplars as marks on the graphs, and as a list below them. */
  ex?: 'on' | 'list' | undefined;
  /** Folded parts of plans: the letter of the query and the place in its tree, with commas. */
  fold?: string | undefined;
  /** The value axis of heat maps; a logarithm unless it says otherwise. */
  scale?: 'lin' | undefined;
}

export interface CatalogSearch extends CommonSearch {
  find?: string | undefined;
  /** Types to show, with commas. */
  type?: string | undefined;
  prefix?: string | undefined;
  /** Only metrics that have this label, `name` or `name=value`. */
  label?: string | undefined;
  sort?: 'series' | 'type' | undefined;
  /** The metric that is open, and how it is drawn. */
  metric?: string | undefined;
  view?: string | undefined;
  /** The label it is split by. */
  by?: string | undefined;
  /** Conditions on its labels, as inside the braces of a selector. */
  where?: string | undefined;
  cap?: number | undefined;
  solo?: string | undefined;
  ex?: 'on' | 'list' | undefined;
  scale?: 'lin' | undefined;
}

export interface CardinalitySearch extends CommonSearch {
  /** The series to look at, as a selector; all of them when left out. */
  match?: string | undefined;
  /** How many of them to read at most. */
  limit?: number | undefined;
  /** The label whose values are open. */
  label?: string | undefined;
  /** Labels that the what-if leaves out. */
  drop?: string[] | undefined;
  /** The order of the list of labels. */
  sort?: 'series' | 'bytes' | 'saves' | undefined;
  /** Count churn even where that reads many series. */
  churn?: 'on' | undefined;
}

export interface LogsSearch extends CommonSearch {
  /** LogQL, stages over every stream, or plain words. */
  q?: string | undefined;
  wrap?: 'on' | undefined;
  /** Newest first unless it says otherwise. */
  order?: 'oldest' | undefined;
  /** The field whose values are open in the sidebar, by its key. */
  field?: string | undefined;
  /** Text in the list of fields. */
  find?: string | undefined;
  /** Fields shown as columns before the line, by their keys with commas; `-` for none. */
  cols?: string | undefined;
  /** The expanded line, as `<ns>-<hash>`. */
  line?: string | undefined;
  /** Lines before and after the expanded one, of its stream. */
  around?: number | undefined;
  /** The histogram as a table of values, or not at all. */
  hist?: 'table' | 'off' | undefined;
  /** The field that the histogram is split by, by its key; by level without it, `-` for not at all. */
  split?: string | undefined;
  /** Lines as they are written, or groups of them, instead of the lines of the range. */
  view?: 'live' | 'patterns' | undefined;
  /** As on the metrics page, for metric queries over lines. */
  cap?: number | undefined;
  solo?: string | undefined;
}

export interface TracesSearch extends CommonSearch {
  /** TraceQL. */
  q?: string | undefined;
  /** What addresses held before there was a query in them; read, never written. */
  service?: string | undefined;
  operation?: string | undefined;
  tags?: string | undefined;
  min?: string | undefined;
  max?: string | undefined;
  /** How many traces to list. */
  limit?: number | undefined;
  sort?: 'longest' | 'spans' | 'errors' | undefined;
  /** The fields above the query are folded away. */
  form?: 'off' | undefined;
  /** Durations as points, as a table of values, or no picture at all; a heat map otherwise. */
  head?: 'scatter' | 'values' | 'off' | undefined;
  /** An area of the heat map, as `lib/area.ts` writes it. */
  sel?: string | undefined;
  /** As on the metrics page, for metric queries over spans. */
  cap?: number | undefined;
  solo?: string | undefined;
}

export interface TopologySearch extends CommonSearch {
  view?: 'table' | undefined;
  /** What a node of the map stands for; chosen by how many there are otherwise. */
  level?: 'cluster' | 'namespace' | 'service' | undefined;
  /** Groups whose fold differs from the level. */
  open?: string[] | undefined;
  /** Only edges that fail, and what they join. */
  errors?: 'on' | undefined;
  /** The node looked at, by its key, and how far around it. */
  node?: string | undefined;
  hops?: number | undefined;
  find?: string | undefined;
  /** Services without any edge, too. */
  lonely?: 'on' | undefined;
  /** Order of the tables: a column, with a dash before it for the other way round. */
  sort?: string | undefined;
}

export interface ServicesSearch extends CommonSearch {
  find?: string | undefined;
  sort?: string | undefined;
}

export interface ServiceSearch extends CommonSearch {
  /** Which of its spans count; those it serves otherwise. */
  kind?: 'calls' | 'all' | undefined;
  /** The operation that the charts are about. */
  op?: string | undefined;
  sort?: string | undefined;
  ex?: 'on' | 'list' | undefined;
  values?: 'on' | undefined;
}

export interface TraceSearchState extends CommonSearch {
  span?: string | undefined;
  /** The waterfall unless it says otherwise. */
  view?: 'flame' | 'table' | 'stats' | undefined;
  /** Colours are of clusters instead of services. */
  by?: 'cluster' | undefined;
  /** Times as they were sent, by whatever clock; set right against each other otherwise. */
  clock?: 'raw' | undefined;
  /** The critical path is not drawn. */
  path?: 'off' | undefined;
  /** The column that the table, or the statistics, are sorted by. */
  sort?: string | undefined;
  /** What statistics add up by: `service`, `cluster`, `host`, `kind` or an attribute; operations otherwise. */
  group?: string | undefined;
  /** A span of the path that the flame graph is zoomed to. */
  focus?: string | undefined;
  /** Zoom window in microseconds from the start of the trace, `a,b`. */
  zoom?: string | undefined;
  /** Span ids whose fold differs from the default; `depth` folds everything from that level down. */
  fold?: string | undefined;
  depth?: number | undefined;
  find?: string | undefined;
  only?: 'match' | undefined;
}

export interface CompareSearch extends CommonSearch {
  /** Ids of the two traces; what changed is told from the first to the second. */
  a?: string | undefined;
  b?: string | undefined;
  /** A flame graph unless it says otherwise. */
  view?: 'table' | undefined;
  /** Only paths that differ. */
  show?: 'changed' | undefined;
  sort?: string | undefined;
  clock?: 'raw' | undefined;
  /** The path that the flame graph is zoomed to, by its place. */
  focus?: number | undefined;
  find?: string | undefined;
}

export function one(value: unknown): string | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' && first !== '' ? first : typeof first === 'number' ? String(first) : undefined;
}

export function many(value: unknown): string[] | undefined {
  if (value === undefined) return undefined;
  const list = (Array.isArray(value) ? value : [value]).map(String);
  return list.length > 0 ? list : undefined;
}

function choice<T extends string>(value: unknown, allowed: readonly T[]): T | undefined {
  const text = one(value);
  return allowed.find((item) => item === text);
}

function whole(value: unknown, low: number, high: number): number | undefined {
  const text = one(value);
  if (text === undefined || !/^\d{1,9}$/.test(text)) return undefined;
  return Math.min(high, Math.max(low, Number(text)));
}

function grammar(value: unknown, fallback: string): string | undefined {
  const text = one(value);
  if (text === undefined || text === fallback) return undefined;
  return parseTime(text, 0, 'from') === null ? undefined : text;
}

/** Two ends that do not make a range are both dropped: half of a wrong pair is a range nobody asked for. */
export function commonSearch(raw: Record<string, unknown>): CommonSearch {
  const from = grammar(raw.from, DEFAULT_FROM);
  const to = grammar(raw.to, DEFAULT_TO);
  const broken = [raw.from, raw.to].some((text, i) => {
    const given = one(text);
    return (
      given !== undefined && given !== (i === 0 ? DEFAULT_FROM : DEFAULT_TO) && (i === 0 ? from : to) === undefined
    );
  });
  return {
    from: broken ? undefined : from,
    to: broken ? undefined : to,
    refresh: choice(raw.refresh, REFRESH_CHOICES),
    tenant: one(raw.tenant),
    tz: choice(raw.tz, ['utc']),
    scope: scopeTexts(parseScope(many(raw.scope) ?? [])),
    dedup: choice(raw.dedup, ['false']),
    partial: choice(raw.partial, ['deny']),
  };
}

export function fleetSearch(raw: Record<string, unknown>): FleetSearch {
  return { open: many(raw.open)?.filter(Boolean).slice(0, 100) };
}

export function federationSearch(raw: Record<string, unknown>): FederationSearch {
  return { peer: one(raw.peer), show: choice(raw.show, ['trouble']) };
}

export function pipelinesSearch(raw: Record<string, unknown>): PipelinesSearch {
  return {
    open: many(raw.open)?.filter(Boolean).slice(0, 100),
    find: one(raw.find),
    sort: sortKey(raw.sort),
    values: choice(raw.values, ['on']),
  };
}

export function metricsSearch(raw: Record<string, unknown>): MetricsSearch {
  return {
    q: many(raw.q),
    tabs: /^[ghtvxGHTVX]{1,26}$/.test(one(raw.tabs) ?? '') ? one(raw.tabs) : undefined,
    cap: whole(raw.cap, 1, 500),
    find: one(raw.find),
    browse: choice(raw.browse, ['off']),
    solo: one(raw.solo),
    ex: choice(raw.ex, ['on', 'list']),
    fold: one(raw.fold),
    scale: choice(raw.scale, ['lin']),
  };
}

export function catalogSearch(raw: Record<string, unknown>): CatalogSearch {
  return {
    find: one(raw.find),
    type: one(raw.type),
    prefix: one(raw.prefix),
    label: one(raw.label),
    sort: choice(raw.sort, ['series', 'type']),
    metric: one(raw.metric),
    view: one(raw.view),
    by: one(raw.by),
    where: one(raw.where),
    cap: whole(raw.cap, 1, 500),
    solo: one(raw.solo),
    ex: choice(raw.ex, ['on', 'list']),
    scale: choice(raw.scale, ['lin']),
  };
}

/** Label sets read into a browser tab: past this the counting, not the reading, would freeze it. */
export const MOST_SETS = 200_000;

export function cardinalitySearch(raw: Record<string, unknown>): CardinalitySearch {
  return {
    match: one(raw.match),
    limit: whole(raw.limit, 100, MOST_SETS),
    label: one(raw.label),
    drop: many(raw.drop)?.filter(Boolean).slice(0, 20),
    sort: choice(raw.sort, ['series', 'bytes', 'saves']),
    churn: choice(raw.churn, ['on']),
  };
}

export function logsSearch(raw: Record<string, unknown>): LogsSearch {
  return {
    q: one(raw.q),
    wrap: choice(raw.wrap, ['on']),
    order: choice(raw.order, ['oldest']),
    field: one(raw.field),
    find: one(raw.find),
    cols: one(raw.cols),
    line: one(raw.line),
    around: whole(raw.around, 1, 500),
    hist: choice(raw.hist, ['table', 'off']),
    split: one(raw.split),
    view: choice(raw.view, ['live', 'patterns']),
    cap: whole(raw.cap, 1, 500),
    solo: one(raw.solo),
  };
}

export function tracesSearch(raw: Record<string, unknown>): TracesSearch {
  return {
    q: one(raw.q),
    service: one(raw.service),
    operation: one(raw.operation),
    tags: one(raw.tags),
    min: one(raw.min),
    max: one(raw.max),
    limit: whole(raw.limit, 1, MOST_TRACES),
    sort: choice(raw.sort, ['longest', 'spans', 'errors']),
    form: choice(raw.form, ['off']),
    head: choice(raw.head, ['scatter', 'values', 'off']),
    sel: one(raw.sel),
    cap: whole(raw.cap, 1, 500),
    solo: one(raw.solo),
  };
}

/** Traces held by a tab. Whoever reads this far wants a narrower query. */
export const MOST_TRACES = 5000;

const SORT_KEY = /^-?[a-z]\w{0,15}$/;

function sortKey(value: unknown): string | undefined {
  const text = one(value);
  return text !== undefined && SORT_KEY.test(text) ? text : undefined;
}

export function topologySearch(raw: Record<string, unknown>): TopologySearch {
  return {
    view: choice(raw.view, ['table']),
    level: choice(raw.level, ['cluster', 'namespace', 'service']),
    open: many(raw.open)?.filter(Boolean).slice(0, 100),
    errors: choice(raw.errors, ['on']),
    node: one(raw.node),
    hops: whole(raw.hops, 1, 2),
    find: one(raw.find),
    lonely: choice(raw.lonely, ['on']),
    sort: sortKey(raw.sort),
  };
}

export function servicesSearch(raw: Record<string, unknown>): ServicesSearch {
  return { find: one(raw.find), sort: sortKey(raw.sort) };
}

export function serviceSearch(raw: Record<string, unknown>): ServiceSearch {
  return {
    kind: choice(raw.kind, ['calls', 'all']),
    op: one(raw.op),
    sort: sortKey(raw.sort),
    ex: choice(raw.ex, ['on', 'list']),
    values: choice(raw.values, ['on']),
  };
}

export function traceSearch(raw: Record<string, unknown>): TraceSearchState {
  return {
    span: one(raw.span),
    view: choice(raw.view, ['flame', 'table', 'stats']),
    by: choice(raw.by, ['cluster']),
    clock: choice(raw.clock, ['raw']),
    path: choice(raw.path, ['off']),
    sort: columnName(raw.sort),
    group: one(raw.group),
    focus: one(raw.focus),
    zoom: /^\d+,\d+$/.test(one(raw.zoom) ?? '') ? one(raw.zoom) : undefined,
    fold: one(raw.fold),
    depth: whole(raw.depth, 0, 1000),
    find: one(raw.find),
    only: choice(raw.only, ['match']),
  };
}

function columnName(value: unknown): string | undefined {
  const text = one(value);
  return text !== undefined && /^[a-z]\w{0,15}$/i.test(text) ? text : undefined;
}

export function compareSearch(raw: Record<string, unknown>): CompareSearch {
  return {
    a: one(raw.a),
    b: one(raw.b),
    view: choice(raw.view, ['table']),
    show: choice(raw.show, ['changed']),
    sort: columnName(raw.sort),
    clock: choice(raw.clock, ['raw']),
    focus: whole(raw.focus, 0, 1e9),
    find: one(raw.find),
  };
}
