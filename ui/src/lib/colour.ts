/**
 * Series colours: stable for a label set, distinct inside one chart.
 * A name hashes to a slot and takes the next free one when a neighbour has it; names are placed in sorted order,
 * so the same set of series always gets the same colours whatever order the server answers in.
 */

/** Number of `--series-N` variables in styles/tokens.css. */
export const SLOTS = 12;

export function hashText(text: string): number {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i += 1) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 16777619);
  }
  return hash >>> 0;
}

export function assignSlots(names: readonly string[]): Map<string, number> {
  const slots = new Map<string, number>();
  const used = new Set<number>();
  for (const name of [...new Set(names)].sort()) {
    if (used.size === SLOTS) used.clear();
    let slot = hashText(name) % SLOTS;
    while (used.has(slot)) slot = (slot + 1) % SLOTS;
    used.add(slot);
    slots.set(name, slot);
  }
  return slots;
}

export function slotVariable(slot: number): string {
  return `var(--series-${slot})`;
}
