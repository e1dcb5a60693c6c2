/**
 * The fields of the logs in sight: labels of their streams, what was sent beside them, and what parsers find in them. The
 * node knows them over the whole range; where it does not say, the lines that are here do.
 */
import type { LogLine } from '../api/loki';
import { commonType, fieldsIn, type FieldType } from './linefields';
import { type Level, levelOf, normaliseLevel } from './loglines';
import type { Origin } from './logql';

export interface Field {
  name: string;
  origin: Origin;
  type: FieldType;
  /** Distinct values; null where nobody counted. */
  distinct: number | null;
  /** What they were counted over. */
  counted: Counted;
}

/** All of the range, its newest lines as the node looked at them, or the lines that are here. */
export type Counted = 'range' | 'newest' | 'loaded';

/** In the address: `status`, or `json:status` where a parser must find it first. */
export function fieldKey(field: { name: string; origin: Origin }): string {
  return field.origin === 'json' || field.origin === 'logfmt' ? `${field.origin}:${field.name}` : field.name;
}

export function readFieldKey(key: string): { name: string; parser: 'json' | 'logfmt' | null } {
  const m = /^(json|logfmt):(.+)$/.exec(key);
  return m ? { name: m[2] ?? '', parser: m[1] as 'json' | 'logfmt' } : { name: key, parser: null };
}

/** What may stand in a query as the name of a label. */
export function isFieldName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Where a field named by its key comes from. */
export function originOf(key: string, streamLabels: ReadonlySet<string>): Origin {
  const { name, parser } = readFieldKey(key);
  return parser ?? (streamLabels.has(name) ? 'stream' : 'meta');
}

/** A field of one line, whether the query parsed it or not. */
export function valueOf(line: LogLine, key: string): string | undefined {
  const { name, parser } = readFieldKey(key);
  const given = line.labels[name];
  if (given !== undefined || parser === null) return given;
  const found = fieldsIn(line);
  return found.parser === parser ? found.fields.get(name) : undefined;
}

/** Names of levels inside of lines. */
const IN_LINE = ['level', 'lvl', 'severity', 'loglevel'];

/** By what was sent with the line, else by what stands in it. */
export function levelOfLine(line: LogLine): Level {
  const told = levelOf(line.labels);
  if (told !== 'unknown') return told;
  const { fields } = fieldsIn(line);
  for (const name of IN_LINE) {
    const level = normaliseLevel(fields.get(name) ?? '');
    if (level !== 'unknown') return level;
  }
  return 'unknown';
}

export interface FieldValues {
  lines: number;
  values: { value: string; count: number }[];
}

/** Distinct values kept per field while counting; past it a field is an id and its counts mean nothing. */
const DISTINCT = 2000;
/** Lines looked at: more say the same. */
const LOOKED_AT = 2000;

interface Tally {
  name: string;
  origin: Origin;
  lines: number;
  values: Map<string, number>;
}

/** Every label and field of the lines with its values, by key. */
export function countFields(lines: readonly LogLine[], streamLabels: ReadonlySet<string>): Map<string, Tally> {
  const out = new Map<string, Tally>();
  const add = (name: string, origin: Origin, value: string) => {
    const key = fieldKey({ name, origin });
    let tally = out.get(key);
    if (!tally) out.set(key, (tally = { name, origin, lines: 0, values: new Map() }));
    tally.lines += 1;
    const seen = tally.values.get(value);
    if (seen !== undefined || tally.values.size < DISTINCT) tally.values.set(value, (seen ?? 0) + 1);
  };
  for (const line of lines.slice(0, LOOKED_AT)) {
    for (const [name, value] of Object.entries(line.labels)) add(name, kindOf(line, name, streamLabels), value);
    const { parser, fields } = fieldsIn(line);
    if (parser) for (const [name, value] of fields) if (!(name in line.labels)) add(name, parser, value);
  }
  return out;
}

/** Servers that tell labels apart are believed; a live tail does not, and there the list of stream labels says it. */
export function kindOf(line: LogLine, name: string, streamLabels: ReadonlySet<string>): 'stream' | 'meta' {
  const isStream = line.parts ? name in line.parts.stream : streamLabels.has(name);
  return isStream ? 'stream' : 'meta';
}

export function rankValues(values: ReadonlyMap<string, number>, most: number): FieldValues['values'] {
  return [...values]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || a.value.localeCompare(b.value))
    .slice(0, most);
}

/** As `/detected_fields` tells them. */
export interface Detected {
  name: string;
  type: FieldType;
  distinct: number;
  /** Null where it was sent beside the line. */
  parser: 'json' | 'logfmt' | null;
}

export interface Known {
  streamLabels: readonly string[];
  /** Distinct values of stream labels; null where the node does not say. */
  labelCounts: ReadonlyMap<string, number> | null;
  /** Null where the node does not say. */
  detected: readonly Detected[] | null;
  counted: ReadonlyMap<string, Tally>;
}

const ORDER: readonly Origin[] = ['stream', 'meta', 'json', 'logfmt'];

/** By origin, then by name. */
export function listFields({ streamLabels, labelCounts, detected, counted }: Known): Field[] {
  const out = new Map<string, Field>();
  const put = (field: Field) => {
    const key = fieldKey(field);
    if (!out.has(key)) out.set(key, field);
  };
  for (const name of streamLabels) {
    const here = counted.get(name);
    put({
      name,
      origin: 'stream',
      type: commonType([...(here?.values.keys() ?? [])]),
      distinct: labelCounts?.get(name) ?? here?.values.size ?? null,
      counted: labelCounts?.has(name) ? 'range' : 'loaded',
    });
  }
  const streams = new Set(streamLabels);
  for (const { name, type, distinct, parser } of detected ?? []) {
    if (parser === null && streams.has(name)) continue;
    put({ name, origin: parser ?? 'meta', type, distinct, counted: 'newest' });
  }
  for (const { name, origin, values } of counted.values()) {
    if (origin === 'stream') continue;
    put({ name, origin, type: commonType([...values.keys()].slice(0, 100)), distinct: values.size, counted: 'loaded' });
  }
  return [...out.values()]
    .filter((field) => !field.name.startsWith('__'))
    .sort((a, b) => ORDER.indexOf(a.origin) - ORDER.indexOf(b.origin) || a.name.localeCompare(b.name));
}
