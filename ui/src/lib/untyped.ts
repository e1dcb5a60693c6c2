/** Reading JSON whose fields may be absent or of another kind: answers of older, newer and foreign nodes. */

export type Wire = Readonly<Record<string, unknown>>;

export function object(value: unknown): Wire | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Wire) : null;
}

export function objects(value: unknown): Wire[] {
  return Array.isArray(value) ? value.map((one) => object(one) ?? {}) : [];
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(object(value) ?? {}).map(([key, one]) => [key, String(one)]));
}
