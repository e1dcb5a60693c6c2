/** Reading and rewriting LogQL text: what a query is, filters added to it by a click, and counts made of it. */

export interface LogParts {
  /** `{…}` */
  selector: string;
  /** What follows the selector. */
  pipeline: string;
}

/** Where a field of a line comes from, and with it how it is filtered by. */
export type Origin =
  /** A label of the stream. */
  | 'stream'
  /** Sent beside the line, or made by the stages of the query. */
  | 'meta'
  /** In the line, for a parser to find. */
  | 'json'
  | 'logfmt';

/** Splits a log query after its selector; null for a metric query or an unfinished text. */
export function splitLogQuery(query: string): LogParts | null {
  const text = query.trim();
  if (!text.startsWith('{')) return null;
  const end = skipTo(text, 1, '}');
  return end < 0 ? null : { selector: text.slice(0, end + 1), pipeline: text.slice(end + 1).trim() };
}

/** The index of `wanted` outside of string literals, or -1. */
function skipTo(text: string, start: number, wanted: string): number {
  let quote = '';
  for (let i = start; i < text.length; i += 1) {
    const c = text[i] ?? '';
    if (quote) {
      if (c === '\\' && quote === '"') i += 1;
      else if (c === quote) quote = '';
    } else if (c === '"' || c === '`') quote = c;
    else if (c === wanted) return i;
  }
  return -1;
}

export function isLogQuery(query: string): boolean {
  return splitLogQuery(query) !== null;
}

export function quote(value: string): string {
  const escaped = value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n').replace(/\r/g, '\\r');
  return `"${escaped.replace(/\t/g, '\\t')}"`;
}

const STRING = /"(?:[^"\\]|\\.)*"|`[^`]*`/g;

/** The same text with nothing inside its strings, so that words in it are words of the language. */
function bare(text: string): string {
  return text.replace(STRING, '""');
}

/** Whether stages make fields of the line. */
export function hasParser(pipeline: string): boolean {
  return /\|\s*(json|logfmt|unpack|pattern|regexp)\b/.test(bare(pipeline));
}

function parsesAs(pipeline: string, parser: 'json' | 'logfmt'): boolean {
  // With expressions behind it a parser finds these fields only.
  return new RegExp(`\\|\\s*${parser}\\s*(?:--[a-z-]+\\s*)*(?=\\||$)`).test(bare(pipeline));
}

/** The pipeline with the stage that finds fields of this origin. */
export function withParser(query: string, origin: Origin): string {
  const parts = splitLogQuery(query);
  if (!parts || (origin !== 'json' && origin !== 'logfmt') || parsesAs(parts.pipeline, origin)) return query;
  return join(parts.selector, `${parts.pipeline} | ${origin}`);
}

/**
 * Adds `label = value` (or `!=`). A stream label goes into the selector, where it narrows what is read at all; other
 * fields become a filter at the end of the pipeline, behind the parser that finds them.
 */
export function addFilter(query: string, label: string, value: string, operator: '=' | '!=', origin: Origin): string {
  const parts = splitLogQuery(query);
  if (!parts) return query;
  const matcher = `${label}${operator}${quote(value)}`;
  const opposite = `${label}${operator === '=' ? '!=' : '='}${quote(value)}`;
  if (origin !== 'stream') {
    const kept = withoutStage(withoutStage(parts.pipeline, opposite), matcher);
    const parsed = splitLogQuery(withParser(join(parts.selector, kept), origin)) ?? parts;
    return join(parsed.selector, `${parsed.pipeline} | ${matcher}`);
  }
  const inside = parts.selector.slice(1, -1).trim().replace(/,$/, '');
  const matchers = inside === '' ? [] : splitMatchers(inside);
  const kept = matchers.filter((one) => one !== matcher && one !== opposite && !isCatchAll(one, label));
  const all = [...kept, matcher];
  // A selector of nothing but exclusions is refused.
  const some = operator === '!=' && all.every((one) => /^[\w.]+\s*!/.test(one)) ? [`${label}=~".+"`, ...all] : all;
  return join(`{${some.join(', ')}}`, parts.pipeline);
}

/** Stages that are exactly this text go. */
function withoutStage(pipeline: string, stage: string): string {
  const wanted = `| ${stage}`;
  const at = pipeline.indexOf(wanted);
  if (at < 0) return pipeline;
  const rest = pipeline.slice(at + wanted.length);
  // `| a="b" or c="d"` is one stage.
  if (!/^\s*($|[|!])/.test(rest)) return pipeline;
  return `${pipeline.slice(0, at).trim()} ${rest.trim()}`.trim();
}

function join(selector: string, pipeline: string): string {
  return pipeline.trim() ? `${selector} ${pipeline.trim()}` : selector;
}

/** `job=~".+"` says nothing once `job` has a matcher of its own. */
function isCatchAll(matcher: string, label: string): boolean {
  return new RegExp(`^${label}\\s*=~\\s*["\`]\\.[+*]["\`]$`).test(matcher);
}

function splitMatchers(inside: string): string[] {
  const out: string[] = [];
  let rest = inside;
  for (;;) {
    const comma = skipTo(rest, 0, ',');
    const head = (comma < 0 ? rest : rest.slice(0, comma)).trim();
    if (head) out.push(head);
    if (comma < 0) return out;
    rest = rest.slice(comma + 1);
  }
}

/** Keeps lines whose label has one of the values, at the end of the pipeline, where it works for fields of every kind. */
export function addOneOf(query: string, label: string, values: readonly string[], origin: Origin = 'meta'): string {
  const parts = splitLogQuery(withParser(query, origin));
  if (!parts || values.length === 0) return query;
  return join(parts.selector, `${parts.pipeline} | ${oneOf(label, values)}`);
}

function oneOf(label: string, values: readonly string[]): string {
  const literal = (value: string) => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  if (values.length === 1) return `${label}=${quote(values[0] ?? '')}`;
  return `${label}=~${quote(values.map(literal).join('|'))}`;
}

/** Puts a line filter right behind the selector, where the line is still as it was sent. */
export function addLineFilter(query: string, operator: '|=' | '!=' | '|>' | '!>', text: string): string {
  const parts = splitLogQuery(query);
  if (!parts) return query;
  const filter = `${operator} ${quote(text)}`;
  return parts.pipeline.includes(filter) ? query : join(parts.selector, `${filter} ${parts.pipeline}`);
}

/**
 * The patterns that a query leaves out, where it asks for nothing else of its lines; null where it does: then what is known
 * of whole streams does not tell what the query finds.
 */
export function onlyLeftOut(query: string): string[] | null {
  const pipeline = splitLogQuery(query)?.pipeline ?? '';
  const filters = pipeline.match(/!>\s*(?:"(?:[^"\\]|\\.)*"|`[^`]*`)/g) ?? [];
  const rest = filters.reduce((text, one) => text.replace(one, ''), pipeline);
  return rest.trim() === '' ? filters.map((one) => unquote(one.slice(2).trim())) : null;
}

/** The streams alone, without what their lines must be like. */
export function selectorOf(query: string): string {
  return splitLogQuery(query)?.selector ?? query;
}

/** Exactly the stream with these labels. */
export function streamSelector(labels: Readonly<Record<string, string>>): string {
  const matchers = Object.entries(labels)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, value]) => `${name}=${quote(value)}`);
  return `{${matchers.join(', ')}}`;
}

/** Lines that a parser made nothing of still count: their mark of an error would refuse the whole. */
function countable(query: string): string {
  const parts = splitLogQuery(query);
  return parts && hasParser(parts.pipeline) ? `${query} | drop __error__, __error_details__` : query;
}

export function countByLevel(query: string, window: string): string {
  return countBy(query, ['detected_level', 'level', 'severity_text', 'severity_number'], 'meta', window);
}

export function countBy(query: string, labels: readonly string[], origin: Origin, window: string): string {
  return `sum by (${labels.join(', ')}) (count_over_time(${countable(withParser(query, origin))} [${window}]))`;
}

export function countAll(query: string, window: string): string {
  return `sum(count_over_time(${countable(query)} [${window}]))`;
}

/** Lines per value, for these values only. */
export function countOneOf(
  query: string,
  label: string,
  values: readonly string[],
  origin: Origin,
  window: string,
): string {
  return countBy(addOneOf(query, label, values, origin), [label], origin, window);
}

export function topValues(query: string, label: string, origin: Origin, window: string, limit: number): string {
  return `topk(${limit}, ${countBy(query, [label], origin, window)})`;
}

/** What a query asks lines to contain, for marking it in the lines shown. */
export interface Wanted {
  texts: string[];
  patterns: RegExp[];
}

/** `|= "a" or "b"`, `|~ "c"` */
const FILTER = /(\|=|\|~)\s*((?:"(?:[^"\\]|\\.)*"|`[^`]*`)(?:\s*or\s*(?:"(?:[^"\\]|\\.)*"|`[^`]*`))*)/g;

export function wantedOf(query: string): Wanted {
  const out: Wanted = { texts: [], patterns: [] };
  const pipeline = splitLogQuery(query)?.pipeline ?? '';
  for (const m of pipeline.matchAll(FILTER)) {
    for (const literal of (m[2] ?? '').match(STRING) ?? []) {
      const text = unquote(literal);
      if (text === '') continue;
      if (m[1] === '|=') out.texts.push(text);
      else {
        const pattern = compile(text);
        if (pattern) out.patterns.push(pattern);
      }
    }
  }
  return out;
}

function unquote(literal: string): string {
  const inside = literal.slice(1, -1);
  if (literal.startsWith('`')) return inside;
  return inside.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === 't' ? '\t' : c === 'r' ? '\r' : c));
}

/**
 * The expression as browsers know it, or null. One that repeats what is itself repeated may take for ever here, which it
 * does not where it was written for.
 */
function compile(text: string): RegExp | null {
  const m = /^\(\?([imsU]+)\)/.exec(text);
  const flags = [...(m?.[1] ?? '')].filter((flag) => 'ims'.includes(flag)).join('');
  const source = m ? text.slice(m[0].length) : text;
  if (source.length > 500 || /\)\s*[*+{]/.test(source)) return null;
  try {
    return new RegExp(source, `g${flags}`);
  } catch {
    return null;
  }
}
