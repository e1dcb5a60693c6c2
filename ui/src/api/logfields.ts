/**
 * What the node knows of the fields and patterns of logs over a range (Loki's `detected_labels`, `detected_fields`,
 * `patterns`). A node, or a version, that does not know answers null: the page then makes do with the lines it has.
 */
import { type Detected } from '../lib/fields';
import type { FieldType } from '../lib/linefields';
import { selectorOf } from '../lib/logql';
import type { PatternSamples } from '../lib/patterns';
import type { Range } from '../lib/time';
import { type Answer, ApiError, getJson } from './http';
import { BASE, between, type Context } from './loki';
import { scoped } from './scoped';

/** Lines that the node reads to learn about fields, and fields it names. */
const LINES = 1000;
const FIELDS = 500;

async function ifKnown<T>(ask: () => Promise<Answer<T>>): Promise<Answer<T | null>> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ApiError) || ![404, 405, 501].includes(error.status)) throw error;
    return { data: null, coverage: [], warnings: [], infos: [], elapsedMs: 0 };
  }
}

/** Distinct values of every label of the streams. */
export function detectedLabels(
  query: string,
  ask: Context,
  range: Range,
): Promise<Answer<ReadonlyMap<string, number> | null>> {
  return ifKnown(async () => {
    const answer = await scoped('logql', selectorOf(query), ask.scope, (text) =>
      getJson<unknown>(`${BASE}/detected_labels`, { ...ask, params: { ...between(range), query: text } }),
    );
    return { ...answer, data: readDetectedLabels(answer.data) };
  });
}

export function readDetectedLabels(body: unknown): Map<string, number> {
  const out = new Map<string, number>();
  for (const one of listIn(body, 'detectedLabels')) {
    const { label, cardinality } = one as { label?: unknown; cardinality?: unknown };
    if (typeof label === 'string') out.set(label, Number(cardinality) || 0);
  }
  return out;
}

export function detectedFields(query: string, ask: Context, range: Range): Promise<Answer<Detected[] | null>> {
  return ifKnown(async () => {
    const answer = await scoped('logql', query, ask.scope, (text) =>
      getJson<unknown>(`${BASE}/detected_fields`, {
        ...ask,
        params: { ...between(range), query: text, line_limit: LINES, limit: FIELDS },
      }),
    );
    return { ...answer, data: readDetectedFields(answer.data) };
  });
}

const TYPES: readonly FieldType[] = ['string', 'int', 'float', 'boolean', 'duration', 'bytes'];

export function readDetectedFields(body: unknown): Detected[] {
  return listIn(body, 'fields').flatMap((one) => {
    const { label, type, cardinality, parsers } = one as Record<string, unknown>;
    if (typeof label !== 'string') return [];
    const parser = Array.isArray(parsers) ? parsers.find((name) => name === 'json' || name === 'logfmt') : undefined;
    return [
      {
        name: label,
        type: TYPES.find((name) => name === type) ?? 'string',
        distinct: Number(cardinality) || 0,
        parser: (parser as 'json' | 'logfmt' | undefined) ?? null,
      },
    ];
  });
}

/** Of all lines of the streams: filters of the query do not narrow them. */
export function patterns(
  query: string,
  ask: Context,
  range: Range,
  stepSeconds: number,
): Promise<Answer<PatternSamples[] | null>> {
  return ifKnown(async () => {
    const answer = await scoped('logql', selectorOf(query), ask.scope, (text) =>
      getJson<unknown>(`${BASE}/patterns`, {
        ...ask,
        params: { ...between(range), query: text, step: `${stepSeconds}s` },
      }),
    );
    return { ...answer, data: readPatterns(answer.data) };
  });
}

export function readPatterns(body: unknown): PatternSamples[] {
  return listIn(body, 'data').flatMap((one) => {
    const { pattern, level, samples } = one as Record<string, unknown>;
    if (typeof pattern !== 'string' || !Array.isArray(samples)) return [];
    const pairs = samples.flatMap((pair: unknown): [number, number][] => {
      if (!Array.isArray(pair)) return [];
      const [at, count] = pair.map(Number);
      return Number.isFinite(at) && Number.isFinite(count) ? [[at as number, count as number]] : [];
    });
    const told = typeof level === 'string' && level !== 'unknown' ? level : '';
    return [{ pattern, level: told, samples: pairs }];
  });
}

/** The list of this name in a body, or in its `data`. */
function listIn(body: unknown, name: string): object[] {
  const inside = (of: unknown): unknown =>
    typeof of === 'object' && of !== null ? (of as Record<string, unknown>)[name] : undefined;
  const found = inside(body) ?? inside((body as { data?: unknown } | null)?.data);
  return Array.isArray(found) ? found.filter((one): one is object => typeof one === 'object' && one !== null) : [];
}
