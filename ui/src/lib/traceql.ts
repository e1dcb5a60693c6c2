/**
 * Reading and rewriting TraceQL text: its stages, conditions added by a click, the scope put into every span filter, and
 * metrics made of a search. It works on braces, bars and strings alone, so that it holds for words of the language that
 * this file has never heard of.
 */
import type { Edit, Narrowed } from './places';
import { escapeRegex } from './promtext';
import { CLUSTER, type ScopeLabel } from './scope';

export interface TraceParts {
  /** What stands between the bars, trimmed. */
  stages: string[];
  /** `with (…)` at the end, or empty. */
  hints: string;
}

interface Token {
  /** One of `{}()|`, or `||`, or a word; strings and comments are tokens of their own kind. */
  text: string;
  at: number;
}

const PIECES =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\]|\\.)*"|`[^`]*`|"[^\n]*$|`[^`]*$|\|\||[{}()|]|[A-Za-z_][\w.:]*|[^\s{}()|"`A-Za-z_/]+|\//g;

function tokens(text: string): Token[] {
  return [...text.matchAll(PIECES)].map((m) => ({ text: m[0], at: m.index }));
}

function isComment(token: Token): boolean {
  return token.text.startsWith('//') || token.text.startsWith('/*');
}

/** Null where braces or parentheses do not close: half of a query must not be asked for. */
export function splitTraceQuery(text: string): TraceParts | null {
  const stages: string[] = [];
  let depth = 0;
  let start = 0;
  let hints = '';
  let end = text.length;
  for (const token of tokens(text)) {
    if (token.text === '{' || token.text === '(') depth += 1;
    if (token.text === '}' || token.text === ')') depth -= 1;
    if (depth < 0) return null;
    if (depth > 0 || end < text.length) continue;
    if (token.text === '|') {
      stages.push(text.slice(start, token.at).trim());
      start = token.at + 1;
    } else if (token.text === 'with') {
      hints = text.slice(token.at).trim();
      end = token.at;
    }
  }
  if (depth !== 0) return null;
  stages.push(stripComments(text.slice(start, end)).trim());
  return stages.some((stage) => stage === '') ? null : { stages: stages.map((one) => stripComments(one)), hints };
}

function stripComments(text: string): string {
  let out = text;
  for (const token of tokens(text).filter(isComment).reverse()) {
    out = out.slice(0, token.at) + out.slice(token.at + token.text.length);
  }
  return out.trim();
}

const METRICS =
  /^(rate|count_over_time|min_over_time|max_over_time|avg_over_time|sum_over_time|quantile_over_time|histogram_over_time|compare|topk|bottomk)\s*\(/;

/** Whether it answers with series over time instead of traces. */
export function isMetricsQuery(text: string): boolean {
  const parts = splitTraceQuery(text);
  if (!parts) return false;
  if (parts.stages.some((stage) => METRICS.test(stage))) return true;
  // `({} | rate()) / ({} | rate())` is arithmetic on series.
  const [only] = parts.stages;
  return parts.stages.length === 1 && only !== undefined && only.startsWith('(') && innerMetrics(only);
}

function innerMetrics(text: string): boolean {
  return tokens(text).some((token, i, all) => METRICS.test(`${token.text}(`) && all[i - 1]?.text === '|');
}

/** The query with one more stage before its hints; as it is where it does not parse. */
export function withStage(query: string, stage: string): string {
  const parts = splitTraceQuery(query);
  if (!parts) return query;
  return [[...parts.stages, stage].join(' | '), parts.hints].filter(Boolean).join(' ');
}

/** A search as a metric: what shapes the answer of a search only (`select`) and its hints are left out. */
export function metricOf(query: string, metric: string): string {
  const parts = splitTraceQuery(query);
  if (!parts) return query;
  const kept = parts.stages.filter((stage) => !/^select\s*\(/.test(stage));
  return [...kept, metric].join(' | ');
}

/** A double-quoted string as TraceQL reads it. */
export function quoteTrace(text: string): string {
  const escaped = text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n').replace(/\r/g, '\\r');
  return `"${escaped.replace(/\t/g, '\\t')}"`;
}

const PLAIN_NAME = /^[A-Za-z_][\w.\-/]*$/;
export const SCOPES = ['span', 'resource', 'event', 'link', 'instrumentation', 'parent'] as const;

/** An attribute as it stands in a query: the scope before the dot may be empty. */
export function attributeText(scope: string, name: string): string {
  return `${scope}.${PLAIN_NAME.test(name) ? name : quoteTrace(name)}`;
}

/** `{ … }` and what stands inside of it, outermost only, in order. */
export function filterRanges(query: string): { from: number; to: number; inside: string }[] {
  const out: { from: number; to: number; inside: string }[] = [];
  const open: number[] = [];
  for (const token of tokens(query)) {
    if (token.text === '{') open.push(token.at);
    if (token.text !== '}') continue;
    const from = open.pop();
    if (from !== undefined && open.length === 0) {
      out.push({ from, to: token.at + 1, inside: stripComments(query.slice(from + 1, token.at)) });
    }
  }
  return out;
}

/**
 * One more condition. A lone filter takes it inside, where it can be read with; behind anything else it becomes a filter
 * of what came out. A condition that is there already, or its opposite, is replaced.
 */
export function addTraceCondition(query: string, condition: string, opposite = ''): string {
  const parts = splitTraceQuery(query);
  if (!parts) return query;
  const [first] = filterRanges(parts.stages[0] ?? '');
  const lone = first !== undefined && first.from === 0 && first.to === parts.stages[0]?.length;
  if (!lone) return withStage(query, `{ ${condition} }`);
  const known = conditionsOf(first.inside);
  const filter =
    known === null
      ? `{ (${first.inside}) && ${condition} }`
      : `{ ${[...known.filter((one) => one !== condition && one !== opposite), condition].join(' && ')} }`;
  return [[filter, ...parts.stages.slice(1)].join(' | '), parts.hints].filter(Boolean).join(' ');
}

/** The parts of `a && b && c`; null where something else than `&&` joins them. */
export function conditionsOf(inside: string): string[] | null {
  const trimmed = inside.trim();
  if (trimmed === '') return [];
  const out: string[] = [];
  let depth = 0;
  let start = 0;
  const text = trimmed;
  for (const m of text.matchAll(/"(?:[^"\\]|\\.)*"|`[^`]*`|&&|\|\||[()]/g)) {
    if (m[0] === '(') depth += 1;
    if (m[0] === ')') depth -= 1;
    if (depth > 0) continue;
    if (m[0] === '||') return null;
    if (m[0] !== '&&') continue;
    out.push(text.slice(start, m.index).trim());
    start = m.index + 2;
  }
  out.push(text.slice(start).trim());
  return out.every((one) => one !== '') ? out : null;
}

/** What traces call the cluster: a resource attribute of OpenTelemetry. */
const CLUSTER_ATTRIBUTE = 'resource.k8s.cluster.name';

function scopeCondition({ name, values }: ScopeLabel): string {
  const attribute = name === CLUSTER ? CLUSTER_ATTRIBUTE : attributeText('', name);
  const [first = ''] = values;
  return values.length === 1
    ? `${attribute} = ${quoteTrace(first)}`
    : `${attribute} =~ ${quoteTrace(values.map(escapeRegex).join('|'))}`;
}

/** The scope of the view inside of every span filter. Null where there is none to put it into. */
export function narrowTraceql(query: string, labels: readonly ScopeLabel[]): Narrowed | null {
  if (splitTraceQuery(query) === null) return null;
  const inner = labels.map(scopeCondition).join(' && ');
  const edits = filterRanges(query).flatMap(({ from, to, inside }): Edit[] =>
    inside === ''
      ? [{ at: from + 1, text: ` ${inner} ` }]
      : [
          { at: from + 1, text: ` ${inner} && (` },
          { at: to - 1, text: ')' },
        ],
  );
  if (edits.length === 0) return null;
  let out = '';
  let at = 0;
  for (const one of edits) {
    out += query.slice(at, one.at) + one.text;
    at = one.at;
  }
  return { text: out + query.slice(at), edits };
}
