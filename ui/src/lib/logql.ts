/** Reading and rewriting LogQL text: what a query is, and filters added to it by a click. */

export interface LogParts {
  /** `{…}` */
  selector: string;
  /** What follows the selector. */
  pipeline: string;
}

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
  return `"${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

/**
 * Adds `label = value` (or `!=`). A stream label goes into the selector, where it narrows what is read at all;
 * a parsed or structured field becomes a filter at the end of the pipeline.
 */
export function addFilter(
  query: string,
  label: string,
  value: string,
  operator: '=' | '!=',
  isStreamLabel: boolean,
): string {
  const parts = splitLogQuery(query);
  if (!parts) return query;
  const matcher = `${label}${operator}${quote(value)}`;
  if (!isStreamLabel) return join(parts.selector, `${parts.pipeline} | ${matcher}`);
  const inside = parts.selector.slice(1, -1).trim().replace(/,$/, '');
  const matchers = inside === '' ? [] : splitMatchers(inside);
  const opposite = `${label}${operator === '=' ? '!=' : '='}${quote(value)}`;
  const kept = matchers.filter((one) => one !== matcher && one !== opposite && !isCatchAll(one, label));
  return join(`{${[...kept, matcher].join(', ')}}`, parts.pipeline);
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
export function addOneOf(query: string, label: string, values: readonly string[]): string {
  const parts = splitLogQuery(query);
  if (!parts || values.length === 0) return query;
  const literal = (value: string) => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const matcher =
    values.length === 1 ? `${label}=${quote(values[0] ?? '')}` : `${label}=~${quote(values.map(literal).join('|'))}`;
  return join(parts.selector, `${parts.pipeline} | ${matcher}`);
}

export function countByLevel(query: string, window: string): string {
  return `sum by (detected_level, level, severity_text, severity_number) (count_over_time(${query} [${window}]))`;
}

export function topValues(query: string, label: string, window: string, limit: number): string {
  return `topk(${limit}, sum by (${label}) (count_over_time(${query} [${window}])))`;
}

/** Texts that a query asks lines to contain, for marking them in the lines shown. */
export function searchedTexts(query: string): string[] {
  const pipeline = splitLogQuery(query)?.pipeline ?? '';
  const out: string[] = [];
  for (const m of pipeline.matchAll(/\|=\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g)) {
    const text = m[2] ?? m[1]?.replace(/\\(["\\])/g, '$1');
    if (text) out.push(text);
  }
  return out;
}
