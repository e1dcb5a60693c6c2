/**
 * What was typed into the search line of the logs: LogQL as it stands, stages that begin with `|` over every stream, or
 * plain words. `error "time out" -debug a OR b` means lines that hold `error`, `time out`, and `a` or `b`, but not `debug`.
 */
import { isLogQuery, quote } from './logql';

export interface Search {
  /** LogQL; empty where nothing is asked yet. */
  query: string;
  kind: 'lines' | 'metric';
  /** How it was written. */
  written: 'logql' | 'stages' | 'words';
}

const SELECTOR = /^\{\s*($|\}|[A-Za-z_][\w.]*\s*(=|!|$))/;
const CALL =
  /^\(*\s*(sum|avg|min|max|count|stddev|stdvar|topk|bottomk|approx_topk|sort|sort_desc|rate|rate_counter|count_over_time|bytes_rate|bytes_over_time|absent_over_time|(?:sum|avg|min|max|stdvar|stddev|quantile|first|last)_over_time|label_replace|vector)\s*(?:(?:by|without)\s*\([^)]*\)\s*)?\(/;

/** `everything` selects every stream; empty while that is not known. */
export function readSearch(text: string, everything: string): Search {
  const typed = text.trim();
  if (typed === '') return { query: everything, kind: 'lines', written: 'logql' };
  if (SELECTOR.test(typed)) return { query: typed, kind: 'lines', written: 'logql' };
  if (CALL.test(typed) && /[{"\d]/.test(typed)) return { query: typed, kind: 'metric', written: 'logql' };
  const ofAll = (pipeline: string) => (everything === '' ? '' : `${everything} ${pipeline}`.trim());
  if (/^(\|[=~>\s]|![=~>]\s*["`])/.test(typed)) return { query: ofAll(typed), kind: 'lines', written: 'stages' };
  return { query: ofAll(wordsToFilters(typed)), kind: 'lines', written: 'words' };
}

/** More is a text pasted by mistake; lines that hold the first of them hold enough of it. */
const MOST_WORDS = 30;

interface Word {
  texts: string[];
  not: boolean;
}

/** `|= "a" != "b" |= "c" or "d"` */
export function wordsToFilters(text: string): string {
  return readWords(text)
    .map(({ texts, not }) => `${not ? '!=' : '|='} ${texts.map(quote).join(' or ')}`)
    .join(' ');
}

function readWords(text: string): Word[] {
  const out: Word[] = [];
  let either = false;
  // A quote that is not closed stands for itself.
  for (const m of text.matchAll(/(-?)"([^"]+)"|\S+/g)) {
    const raw = m[0];
    const last = out[out.length - 1];
    if (raw === 'OR' && last && !last.not) {
      either = true;
      continue;
    }
    const phrase = m[2];
    const not = phrase === undefined ? /^-[^-\s]/.test(raw) : m[1] === '-';
    const word = phrase ?? (not ? raw.slice(1) : raw);
    if (out.length >= MOST_WORDS) break;
    if (either && last && !not) last.texts.push(word);
    else out.push({ texts: [word], not });
    either = false;
  }
  return out;
}

/** Labels that every line of a federation, or most senders, set. */
const USUAL = ['cluster', 'service_name', 'job', 'service', 'app', 'container', 'namespace', 'host'];

/** A selector of every stream, as LogQL wants one that matches something; empty where there is no label at all. */
export function everyStream(labels: readonly string[]): string {
  const label = USUAL.find((name) => labels.includes(name)) ?? labels[0];
  return label === undefined ? '' : `{${label}=~".+"}`;
}

export function isLines(search: Search): boolean {
  return search.kind === 'lines' && (search.query === '' || isLogQuery(search.query));
}
