/** Search inside a trace: which spans a text means, and the way from one of them to the next. */
import type { KeyValue } from '../api/jaeger';
import type { Fold, Span } from './trace';
import { isFolded } from './trace';

/** What the span itself is asked for by name, beside its attributes. */
const FIELDS: Readonly<Record<string, (span: Span) => string>> = {
  service: (span) => span.service,
  operation: (span) => span.operation,
  cluster: (span) => span.cluster,
  host: (span) => span.host,
  kind: (span) => span.kind,
  id: (span) => span.id,
};

/**
 * `text` anywhere in service, operation, id, attributes and events; `key=value` in one attribute of the span or of what
 * sent it; `error` also spans that failed, `missing` also those that are not here. Null where nothing is asked for.
 */
export function spanMatcher(text: string): ((span: Span) => boolean) | null {
  const wanted = text.trim();
  if (wanted === '') return null;
  const pair = /^([\w.\-/]+)=(.*)$/s.exec(wanted);
  if (pair) return pairMatcher(pair[1] ?? '', pair[2] ?? '');
  const holds = holding(wanted);
  const lower = wanted.toLowerCase();
  // Most attributes are shared by many spans: each is looked at once.
  const seen = new Map<KeyValue, boolean>();
  const inPair = (tag: KeyValue) => {
    let hit = seen.get(tag);
    if (hit === undefined) seen.set(tag, (hit = holds(tag.key) || holds(valueText(tag.value))));
    return hit;
  };
  return (span) =>
    (lower === 'error' && span.error) ||
    (lower === 'missing' && span.missing) ||
    holds(span.service) ||
    holds(span.operation) ||
    holds(span.id) ||
    span.tags.some(inPair) ||
    span.events.some((event) => event.fields.some(inPair));
}

function pairMatcher(key: string, value: string): (span: Span) => boolean {
  const wanted = key.toLowerCase();
  const holds = holding(value);
  const field = FIELDS[wanted];
  const inPair = (tag: KeyValue) => tag.key.toLowerCase() === wanted && holds(valueText(tag.value));
  return (span) =>
    !span.missing &&
    ((field !== undefined && holds(field(span))) || span.tags.some(inPair) || span.process.some(inPair));
}

/** Whatever the case; without making a text of lower case of each. */
function holding(text: string): (inside: string) => boolean {
  const pattern = new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');
  return (inside) => pattern.test(inside);
}

export function valueText(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}

export function findSpans(spans: readonly Span[], text: string): Set<number> {
  const matches = spanMatcher(text);
  const out = new Set<number>();
  if (matches) for (const [i, span] of spans.entries()) if (matches(span)) out.add(i);
  return out;
}

/** The match after (or before) where one stands, round the end; -1 where there is none. Matches are in order. */
export function nextMatch(matches: ReadonlySet<number>, from: number, step: 1 | -1): number {
  let first = -1;
  let last = -1;
  let before = -1;
  let after = -1;
  for (const i of matches) {
    if (first < 0) first = i;
    last = i;
    if (i < from) before = i;
    if (i > from && after < 0) after = i;
  }
  if (step === 1) return after >= 0 ? after : first;
  return before >= 0 ? before : last;
}

/** Which of the matches one stands on, from 1; 0 where on none. */
export function matchPlace(matches: ReadonlySet<number>, at: number): number {
  if (!matches.has(at)) return 0;
  let place = 0;
  for (const i of matches) {
    place += 1;
    if (i === at) return place;
  }
  return 0;
}

/** The folds that show a span: those above it are opened. The same object where it is in sight already. */
export function reveal(spans: readonly Span[], fold: Fold, index: number): Fold {
  let toggled: Set<string> | null = null;
  for (let i = spans[index]?.parent ?? -1; i >= 0; i = spans[i]?.parent ?? -1) {
    const span = spans[i];
    if (!span || !isFolded(span, fold)) continue;
    toggled ??= new Set(fold.toggled);
    if (!toggled.delete(span.id)) toggled.add(span.id);
  }
  return toggled ? { ...fold, toggled } : fold;
}
