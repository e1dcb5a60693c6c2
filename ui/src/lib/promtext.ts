/** PromQL text put together from parts: selectors, matchers, groupings. Names may hold any character (UTF-8 names are quoted). */

export interface Matcher {
  name: string;
  op: '=' | '!=' | '=~' | '!~';
  value: string;
}

const PLAIN_LABEL = /^[A-Za-z_][A-Za-z0-9_]*$/;
const PLAIN_METRIC = /^[A-Za-z_:][A-Za-z0-9_:]*$/;

/** A double-quoted string as PromQL reads it. */
export function quote(text: string): string {
  return `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

export function labelText(name: string): string {
  return PLAIN_LABEL.test(name) ? name : quote(name);
}

/** The text that matches exactly `text` inside a regular expression matcher. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

export function selector(metric: string, matchers: readonly Matcher[] = []): string {
  const inner = matchers.map((one) => `${labelText(one.name)}${one.op}${quote(one.value)}`);
  if (metric === '') return `{${inner.join(', ')}}`;
  if (!PLAIN_METRIC.test(metric)) return `{${[quote(metric), ...inner].join(', ')}}`;
  return inner.length > 0 ? `${metric}{${inner.join(', ')}}` : metric;
}

/** ` by (a, b)`, empty without labels, for use between an aggregation's name and its parenthesis. */
export function byClause(labels: readonly string[]): string {
  return labels.length > 0 ? ` by (${labels.map(labelText).join(', ')})` : '';
}

const MATCHER =
  /^\s*(?:([A-Za-z_][A-Za-z0-9_]*)|"((?:[^"\\]|\\.)*)")\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|'([^'\\]*)')\s*/;
const NAME_ONLY = /^\s*"((?:[^"\\]|\\.)*)"\s*/;

/**
 * Reads `metric{a="b", c=~"d"}`, with either half left out. Null where the text is no selector: the node would refuse it too,
 * and a half-typed one must not be asked for.
 */
export function parseSelector(text: string): { metric: string; matchers: Matcher[] } | null {
  const m = /^\s*([A-Za-z_:][A-Za-z0-9_:]*)?\s*(?:\{(.*)\})?\s*$/s.exec(text);
  if (!m) return null;
  let metric = m[1] ?? '';
  const matchers: Matcher[] = [];
  let rest = m[2] ?? '';
  while (rest.trim() !== '') {
    const hit = MATCHER.exec(rest);
    const name = hit ? null : NAME_ONLY.exec(rest);
    if (hit) {
      matchers.push({
        name: hit[1] ?? unescape(hit[2] ?? ''),
        op: hit[3] as Matcher['op'],
        value: hit[5] ?? unescape(hit[4] ?? ''),
      });
    } else if (name && metric === '') metric = unescape(name[1] ?? '');
    else return null;
    rest = rest.slice((hit ?? name)?.[0].length ?? rest.length);
    if (rest.startsWith(',')) rest = rest.slice(1);
    else if (rest !== '') return null;
  }
  const pinned = matchers.findIndex((one) => one.name === '__name__' && one.op === '=');
  if (metric === '' && pinned >= 0) metric = matchers.splice(pinned, 1)[0]?.value ?? '';
  return metric === '' && matchers.length === 0 ? null : { metric, matchers };
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char === 't' ? '\t' : char));
}

/** The same selector with one more condition; a second one on the same label and operator replaces the first. */
export function narrow(matchers: readonly Matcher[], more: Matcher): Matcher[] {
  return [...matchers.filter((one) => one.name !== more.name || one.op !== more.op), more];
}
