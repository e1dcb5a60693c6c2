/** The query rows of the metrics page and their two URL parameters, `q` (repeated) and `tabs` (a letter each). */

export type Tab = 'graph' | 'heat' | 'values' | 'table' | 'explain';

export interface QueryRow {
  expr: string;
  tab: Tab;
  off: boolean;
}

const LETTERS: Record<Tab, string> = { graph: 'g', heat: 'h', values: 'v', table: 't', explain: 'x' };
const TABS = new Map(Object.entries(LETTERS).map(([tab, letter]) => [letter, tab as Tab]));
/** As many as there are letters to name rows with. */
export const MAX_QUERIES = 26;

export function decodeQueries(q: readonly string[] | undefined, tabs: string | undefined): QueryRow[] {
  const rows = (q ?? []).slice(0, MAX_QUERIES).map((expr, i) => {
    const letter = tabs?.[i] ?? 'g';
    const small = letter.toLowerCase();
    return { expr, tab: TABS.get(small) ?? 'graph', off: letter !== small };
  });
  return rows.length > 0 ? rows : [{ expr: '', tab: 'graph', off: false }];
}

export function encodeQueries(rows: readonly QueryRow[]): { q: string[] | undefined; tabs: string | undefined } {
  const letters = rows.map((row) => (row.off ? LETTERS[row.tab].toUpperCase() : LETTERS[row.tab])).join('');
  if (rows.every((row) => row.expr === '')) return { q: undefined, tabs: undefined };
  return { q: rows.map((row) => row.expr), tabs: /^g*$/.test(letters) ? undefined : letters };
}

export function rowName(index: number): string {
  return String.fromCharCode(65 + (index % MAX_QUERIES));
}

/** A sensible first query for a metric of a known type. */
export function startQuery(metric: string, type: string): string {
  if (type === 'histogram' && !/_(bucket|sum|count)$/.test(metric))
    return `histogram_quantile(0.99, sum by (le) (rate(${metric}_bucket[5m])))`;
  if (/_bucket$/.test(metric)) return `histogram_quantile(0.99, sum by (le) (rate(${metric}[5m])))`;
  if (type === 'counter' || /_(total|count|sum)$/.test(metric)) return `rate(${metric}[5m])`;
  return metric;
}

/** A histogram's or summary's type and help are filed under its family name, without the suffix of the series. */
export function familyOf(metric: string): string {
  return metric.replace(/_(bucket|sum|count|total|created)$/, '');
}
