/** Searches kept by this browser: a name and the address that shows it. Sharing one is sharing its address. */

export interface Saved {
  name: string;
  /** `?q=…`, as the address bar has it. */
  search: string;
}

const KEY = 'orrery.saved-logs';
const MOST = 200;
const LONGEST_NAME = 80;

export function parseSaved(text: string | null): Saved[] {
  let raw: unknown;
  try {
    raw = JSON.parse(text ?? '[]');
  } catch {
    return [];
  }
  if (!Array.isArray(raw)) return [];
  return raw
    .filter(
      (one: unknown): one is Saved =>
        typeof one === 'object' &&
        one !== null &&
        typeof (one as Saved).name === 'string' &&
        typeof (one as Saved).search === 'string' &&
        (one as Saved).search.startsWith('?'),
    )
    .slice(0, MOST)
    .map(({ name, search }) => ({ name: name.slice(0, LONGEST_NAME), search }));
}

/** The same name again replaces what it stood for. */
export function withSaved(list: readonly Saved[], name: string, search: string): Saved[] {
  const clean = name.trim().slice(0, LONGEST_NAME);
  if (clean === '') return [...list];
  return [{ name: clean, search }, ...list.filter((one) => one.name !== clean)].slice(0, MOST);
}

export function withoutSaved(list: readonly Saved[], name: string): Saved[] {
  return list.filter((one) => one.name !== name);
}

/** What of an address is worth keeping: not which line is open. */
export function searchToKeep(search: string): string {
  const params = new URLSearchParams(search);
  for (const name of ['line', 'around', 'find']) params.delete(name);
  return `?${params.toString()}`;
}

export function readSaved(): Saved[] {
  try {
    return parseSaved(localStorage.getItem(KEY));
  } catch {
    return [];
  }
}

/** False where the browser keeps nothing. */
export function writeSaved(list: readonly Saved[]): boolean {
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
    return true;
  } catch {
    return false;
  }
}
