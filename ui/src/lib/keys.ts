/** Keyboard shortcuts: chords (`mod+k`) work everywhere, plain letters and sequences (`g m`) outside of inputs. */

export interface Shortcut {
  /** `mod+k`, `/`, `?`, `g m`. */
  keys: string;
  label: string;
  group: string;
  run: () => void;
}

const EDITABLE = 'input, textarea, select, [contenteditable="true"], .cm-editor, [role="textbox"]';

export function isEditable(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest(EDITABLE) !== null;
}

function chord(event: KeyboardEvent): string {
  const mod = event.ctrlKey || event.metaKey ? 'mod+' : '';
  return mod + (event.key.length === 1 ? event.key.toLowerCase() : event.key);
}

/** A second key of a sequence must follow within this time. */
const SEQUENCE_MS = 1200;

/**
 * One listener for a list of shortcuts. `letters` off leaves only chords with a modifier: single-letter keys must be
 * possible to switch off (WCAG 2.1.4).
 */
export function listen(shortcuts: () => readonly Shortcut[], letters: () => boolean): () => void {
  let first: { key: string; atMs: number } | null = null;
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.altKey) return;
    const pressed = chord(event);
    const withModifier = pressed.startsWith('mod+');
    if (!withModifier && (isEditable(event.target) || !letters() || document.querySelector('[role="dialog"]'))) return;
    const sequence = first && event.timeStamp - first.atMs < SEQUENCE_MS ? `${first.key} ${pressed}` : null;
    const all = shortcuts();
    const hit =
      (sequence ? all.find((one) => one.keys === sequence) : undefined) ?? all.find((one) => one.keys === pressed);
    first = null;
    if (hit) {
      event.preventDefault();
      hit.run();
    } else if (all.some((one) => one.keys.startsWith(`${pressed} `))) {
      first = { key: pressed, atMs: event.timeStamp };
    }
  };
  window.addEventListener('keydown', onKey);
  return () => window.removeEventListener('keydown', onKey);
}
