/** Fields inside a line, as LogQL's `json` and `logfmt` would find them, for lines that are already here. */

export interface LineFields {
  parser: 'json' | 'logfmt' | null;
  /** Names as LogQL writes them. */
  fields: Map<string, string>;
}

/** A longer line is data, not a message; reading it for every row would stop the page. */
const LONGEST = 64_000;
const MOST_FIELDS = 200;
const DEEPEST = 8;
const NOTHING: LineFields = { parser: null, fields: new Map() };

const kept = new WeakMap<object, LineFields>();

/** Read once per line. */
export function fieldsIn(line: { line: string }): LineFields {
  let found = kept.get(line);
  if (!found) {
    found = parseLine(line.line);
    kept.set(line, found);
  }
  return found;
}

export function parseLine(text: string): LineFields {
  if (text.length > LONGEST) return NOTHING;
  if (/^\s*\{/.test(text)) {
    const fields = readJson(text);
    if (fields) return { parser: 'json', fields };
  }
  const fields = readLogfmt(text);
  return fields.size > 0 ? { parser: 'logfmt', fields } : NOTHING;
}

function readJson(text: string): Map<string, string> | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const out = new Map<string, string>();
  if (typeof value === 'object' && value !== null) flatten(value as Record<string, unknown>, '', 0, out);
  return out;
}

/** Nested names are put together with `_`; lists are left out, as LogQL leaves them. */
function flatten(object: Record<string, unknown>, prefix: string, depth: number, out: Map<string, string>): void {
  for (const [key, value] of Object.entries(object)) {
    if (out.size >= MOST_FIELDS) return;
    const name = prefix === '' ? plainName(key) : `${prefix}_${key.replace(/[^a-zA-Z0-9_]/g, '_')}`;
    if (Array.isArray(value) || value === null) continue;
    if (typeof value === 'object') {
      if (depth < DEEPEST) flatten(value as Record<string, unknown>, name, depth + 1, out);
    } else out.set(name, String(value));
  }
}

function plainName(key: string): string {
  const name = key.replace(/[^a-zA-Z0-9_]/g, '_');
  return /^[0-9]/.test(name) ? `_${name}` : name;
}

const PAIR = /(?:^|\s)([A-Za-z_][\w.\-/@]*)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?=\s|$)/g;

/** One pair in a sentence is a coincidence, unless the line begins with it. */
function readLogfmt(text: string): Map<string, string> {
  const out = new Map<string, string>();
  if (!text.includes('=')) return out;
  let first = -1;
  for (const m of text.matchAll(PAIR)) {
    if (first < 0) first = m.index;
    const quoted = m[2]?.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === 't' ? '\t' : c));
    const name = plainName(m[1] ?? '');
    if (!out.has(name)) out.set(name, quoted ?? m[3] ?? '');
    if (out.size >= MOST_FIELDS) break;
  }
  return out.size > 1 || first === 0 ? out : new Map();
}

export type FieldType = 'string' | 'int' | 'float' | 'boolean' | 'duration' | 'bytes';

const TYPES: readonly (readonly [FieldType, RegExp])[] = [
  ['int', /^[+-]?\d{1,18}$/],
  ['float', /^[+-]?(\d+\.\d*|\.\d+|\d+)(e[+-]?\d+)?$/i],
  ['boolean', /^(true|false)$/i],
  ['duration', /^[+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/],
  ['bytes', /^\d+(\.\d+)?\s?([kmgtpe]i?)?b$/i],
];

export function typeOf(value: string): FieldType {
  return TYPES.find(([, pattern]) => pattern.test(value))?.[0] ?? 'string';
}

/** The narrowest type of all values; whole numbers and others are numbers together. */
export function commonType(values: readonly string[]): FieldType {
  const types = new Set(values.map(typeOf));
  if (types.size === 2 && types.has('int') && types.has('float')) return 'float';
  const [only] = types;
  return types.size === 1 && only ? only : 'string';
}
