/** Everything the palette can jump to and every key the frame listens to, in one list, so help and behaviour agree. */
import type { Shortcut } from '../lib/keys';

export interface Actions {
  go: (page: PageName) => void;
  palette: () => void;
  help: () => void;
  refresh: () => void;
  focusQuery: () => void;
  zoomOut: () => void;
  back: () => void;
  forward: () => void;
  toggleTheme: () => void;
  openRange: () => void;
}

export type PageName =
  | 'fleet'
  | 'federation'
  | 'pipelines'
  | 'metrics'
  | 'catalog'
  | 'cardinality'
  | 'logs'
  | 'traces'
  | 'topology'
  | 'services';

export interface Page {
  name: PageName;
  label: string;
  path:
    | '/'
    | '/federation'
    | '/pipelines'
    | '/metrics'
    | '/metrics/catalog'
    | '/metrics/cardinality'
    | '/logs'
    | '/traces'
    | '/topology'
    | '/services';
  letter: string;
  /** A page that stands beside this one under the same sign of the rail. */
  under?: PageName;
  /** How it is called among those it stands beside. */
  short?: string;
}

export const PAGES: readonly Page[] = [
  { name: 'fleet', label: 'Fleet', path: '/', letter: 'f', short: 'Clusters' },
  { name: 'federation', label: 'Federation', path: '/federation', letter: 'e', under: 'fleet', short: 'Federation' },
  { name: 'pipelines', label: 'Pipelines', path: '/pipelines', letter: 'p', under: 'fleet', short: 'Pipelines' },
  { name: 'metrics', label: 'Metrics', path: '/metrics', letter: 'm', short: 'Query' },
  {
    name: 'catalog',
    label: 'Metrics catalogue',
    path: '/metrics/catalog',
    letter: 'c',
    under: 'metrics',
    short: 'Catalogue',
  },
  {
    name: 'cardinality',
    label: 'Cardinality',
    path: '/metrics/cardinality',
    letter: 'k',
    under: 'metrics',
    short: 'Cardinality',
  },
  { name: 'logs', label: 'Logs', path: '/logs', letter: 'l' },
  { name: 'traces', label: 'Traces', path: '/traces', letter: 't', short: 'Search' },
  { name: 'topology', label: 'Service map', path: '/topology', letter: 'o', under: 'traces', short: 'Service map' },
  { name: 'services', label: 'Services', path: '/services', letter: 's', under: 'traces', short: 'Services' },
];

export function shortcuts(actions: Actions): Shortcut[] {
  return [
    { keys: 'mod+k', label: 'Open the palette', group: 'Everywhere', run: actions.palette },
    { keys: '/', label: 'Focus the query', group: 'Everywhere', run: actions.focusQuery },
    { keys: '?', label: 'Show this help', group: 'Everywhere', run: actions.help },
    ...PAGES.map((page) => ({
      keys: `g ${page.letter}`,
      label: `Go to ${page.label}`,
      group: 'Pages',
      run: () => actions.go(page.name),
    })),
    { keys: 'd r', label: 'Refresh', group: 'Time', run: actions.refresh },
    { keys: 't r', label: 'Choose the range', group: 'Time', run: actions.openRange },
    { keys: 't ArrowLeft', label: 'Earlier by half a window', group: 'Time', run: actions.back },
    { keys: 't ArrowRight', label: 'Later by half a window', group: 'Time', run: actions.forward },
    { keys: 't -', label: 'Zoom out', group: 'Time', run: actions.zoomOut },
    { keys: 'd t', label: 'Switch light and dark', group: 'Everywhere', run: actions.toggleTheme },
  ];
}

/** Keys that pages handle themselves; listed for the help dialog only. */
export const PAGE_KEYS: readonly { keys: string; label: string; group: string }[] = [
  { keys: 'mod+Enter', label: 'Run the query (Enter runs too, Shift+Enter breaks the line)', group: 'Query' },
  { keys: 'Escape', label: 'Close what is open', group: 'Everywhere' },
  { keys: 'ArrowLeft ArrowRight', label: 'Move the cursor in a focused chart', group: 'Charts' },
  { keys: 'ArrowUp ArrowDown', label: 'Previous and next line or span', group: 'Lists' },
  { keys: 'v l', label: 'Live: lines as they are written', group: 'Logs' },
  { keys: 'v p', label: 'Patterns: lines grouped', group: 'Logs' },
  { keys: 'v o', label: 'Newest or oldest first', group: 'Logs' },
  { keys: 'v w', label: 'Wrap long lines', group: 'Logs' },
  { keys: 'v h', label: 'Hide and show the histogram', group: 'Logs' },
  { keys: 'v a', label: 'Lines around the open one', group: 'Logs' },
  { keys: 'Enter', label: 'Select the cell of a heat map, look at the node of a map', group: 'Charts' },
  { keys: '+ - 0', label: 'Larger, smaller, all of it', group: 'Service map' },
  { keys: '[ ]', label: 'Fold and unfold all spans', group: 'Trace' },
  { keys: 'w s a d', label: 'Zoom and pan the trace', group: 'Trace' },
  { keys: 'f', label: 'Next span that was found', group: 'Trace' },
  { keys: 'b', label: 'Previous span that was found', group: 'Trace' },
  { keys: 'v w', label: 'Waterfall', group: 'Trace' },
  { keys: 'v f', label: 'Flame graph', group: 'Trace' },
  { keys: 'v t', label: 'Table of spans', group: 'Trace' },
  { keys: 'v s', label: 'Statistics', group: 'Trace' },
  { keys: 'v p', label: 'Draw the critical path', group: 'Trace' },
  { keys: 'v c', label: 'Times as sent, or with clocks set right', group: 'Trace' },
];

/** Marks the field that `/` focuses on this page. */
export const QUERY_TARGET = 'data-query-target';

export function focusQuery(): void {
  const target = document.querySelector<HTMLElement>(
    `[${QUERY_TARGET}] .cm-content, [${QUERY_TARGET}] input, input[${QUERY_TARGET}]`,
  );
  target?.focus();
}

const KEYS_OFF = 'orrery.letter-keys';

/** A preference of the person, not of the view, so it lives in the browser and not in the address. */
export function letterKeysOn(): boolean {
  try {
    return localStorage.getItem(KEYS_OFF) !== 'off';
  } catch {
    return true;
  }
}

export function setLetterKeys(on: boolean): void {
  try {
    localStorage.setItem(KEYS_OFF, on ? 'on' : 'off');
  } catch {
    // A browser that keeps nothing still works; the keys are simply on again next time.
  }
}
