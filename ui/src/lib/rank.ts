/** Which entries of a long list match what was typed, best first. */

/**
 * Words must all occur; an entry that starts with the text beats one that holds it at a word start, which beats the rest.
 * Ties keep the order of the list, so an alphabetical list stays alphabetical.
 */
export function rank<T>(items: readonly T[], text: string, nameOf: (item: T) => string, limit: number): T[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return items.slice(0, limit);
  const words = wanted.split(/\s+/);
  const scored: { item: T; score: number; index: number }[] = [];
  items.forEach((item, index) => {
    const name = nameOf(item).toLowerCase();
    if (!words.every((word) => name.includes(word))) return;
    const first = name.indexOf(words[0] ?? '');
    const atWord = first === 0 ? 0 : /[^a-z0-9]/.test(name[first - 1] ?? '') ? 1 : 2;
    scored.push({ item, score: atWord, index });
  });
  return scored
    .sort((a, b) => a.score - b.score || a.index - b.index)
    .slice(0, limit)
    .map((one) => one.item);
}
