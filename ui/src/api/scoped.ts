/** Sends a query inside the scope of the view, and gives back an answer that speaks of the query as it was written. */
import type { Narrowed } from '../lib/places';
import { restorePlaces } from '../lib/places';
import { selector } from '../lib/promtext';
import { matchersOf, type Scope } from '../lib/scope';
import { narrowTraceql } from '../lib/traceql';
import { type Answer, ApiError } from './http';

type Language = 'promql' | 'logql' | 'traceql';

export async function scoped<T>(
  language: Language,
  query: string,
  scope: Scope,
  send: (query: string) => Promise<Answer<T>>,
): Promise<Answer<T>> {
  if (scope.labels.length === 0) return send(query);
  const narrowed = await narrow(language, query, scope);
  if (!narrowed) {
    const answer = await send(query);
    // The node understood what the grammar here does not.
    return { ...answer, warnings: [...answer.warnings, UNSCOPED] };
  }
  try {
    const answer = await send(narrowed.text);
    const restore = (text: string) => restorePlaces(text, narrowed, query);
    return { ...answer, warnings: answer.warnings.map(restore), infos: answer.infos.map(restore) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw new ApiError(restorePlaces(error.message, narrowed, query), error.status, error.kind, error.coverage);
  }
}

const UNSCOPED = 'the scope of the view could not be put into this query: the answer is about everything';

async function narrow(language: Language, query: string, { labels }: Scope): Promise<Narrowed | null> {
  // Its filters are found without a grammar.
  if (language === 'traceql') return narrowTraceql(query, labels);
  const matchers = matchersOf(labels);
  const { narrowLogql, narrowPromql } = await import('../lib/narrow');
  return language === 'promql' ? narrowPromql(query, matchers) : narrowLogql(query, matchers);
}

/** The query inside the scope, for what is not asked over HTTP; as it was written where it does not parse. */
export async function narrowed(language: Language, query: string, scope: Scope): Promise<string> {
  if (scope.labels.length === 0) return query;
  return (await narrow(language, query, scope))?.text ?? query;
}

/** A selector for lists of labels and series: the scope alone where nothing was chosen. */
export async function scopedSelector(
  language: Language,
  match: string | undefined,
  scope: Scope,
): Promise<string | undefined> {
  if (scope.labels.length === 0) return match;
  if (match === undefined) return selector('', matchersOf(scope.labels));
  // One that does not parse is refused by the node, in its own words.
  return (await narrow(language, match, scope))?.text ?? match;
}
