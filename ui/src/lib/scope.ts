/**
 * The scope of a view: which clusters and labels its questions are about, whether replicas are seen as one, and whether an
 * incomplete answer will do. It lives in the address as `scope=name=value`, once per value.
 */
import { escapeRegex, type Matcher } from './promtext';

export interface ScopeLabel {
  name: string;
  /** Any of these; never empty. */
  values: string[];
}

export interface Scope {
  labels: readonly ScopeLabel[];
  /** Replicas of a cluster answer as one. */
  dedup: boolean;
  /** An answer that lacks something is refused. */
  deny: boolean;
}

export const EVERYTHING: Scope = { labels: [], dedup: true, deny: false };

/** The label that names the cluster of whatever carries it. */
export const CLUSTER = 'cluster';

/** More would not fit an address, nor a head. */
const MOST_PAIRS = 50;

export function parseScope(texts: readonly string[]): ScopeLabel[] {
  const byName = new Map<string, string[]>();
  for (const text of texts.slice(0, MOST_PAIRS)) {
    const at = text.indexOf('=');
    const name = text.slice(0, at).trim();
    const value = text.slice(at + 1);
    if (at < 1 || name === '' || value === '') continue;
    const values = byName.get(name) ?? [];
    if (!values.includes(value)) byName.set(name, [...values, value]);
  }
  return [...byName]
    .map(([name, values]) => ({ name, values: values.sort() }))
    .sort((a, b) => Number(b.name === CLUSTER) - Number(a.name === CLUSTER) || a.name.localeCompare(b.name));
}

/** For the address; undefined where there is nothing to say. */
export function scopeTexts(labels: readonly ScopeLabel[]): string[] | undefined {
  const texts = labels.flatMap(({ name, values }) => values.map((value) => `${name}=${value}`));
  return texts.length > 0 ? texts.slice(0, MOST_PAIRS) : undefined;
}

/** The same labels with one value put in or taken out. */
export function toggleValue(labels: readonly ScopeLabel[], name: string, value: string): ScopeLabel[] {
  const pair = `${name}=${value}`;
  const texts = scopeTexts(labels) ?? [];
  return parseScope(texts.includes(pair) ? texts.filter((one) => one !== pair) : [...texts, pair]);
}

export function matchersOf(labels: readonly ScopeLabel[]): Matcher[] {
  return labels.map(({ name, values }) =>
    values.length === 1
      ? { name, op: '=', value: values[0] ?? '' }
      : { name, op: '=~', value: values.map(escapeRegex).join('|') },
  );
}

/** Whether something that carries these labels is in the scope; a label it does not carry is not held against it. */
export function inScope(labels: readonly ScopeLabel[], carried: Readonly<Record<string, string>>): boolean {
  return labels.every(({ name, values }) => carried[name] === undefined || values.includes(carried[name]));
}

/** The chip: `cluster dev-01`, `cluster 3 of them, env prod`, with what else differs from the usual. */
export function scopeText(scope: Scope): string {
  const parts = scope.labels.map(({ name, values }) =>
    values.length <= 2 ? `${name} ${values.join(', ')}` : `${name} ${values.length} values`,
  );
  if (!scope.dedup) parts.push('replicas apart');
  if (scope.deny) parts.push('whole answers only');
  return parts.join(' · ');
}
