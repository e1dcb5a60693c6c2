/** Rows in the order of one of their columns, as the address names it: `rate`, or `-rate` for the other way round. */

export type Cell = string | number | null;

export interface SortKey {
  key: string;
  isDescending: boolean;
}

export function readSort(text: string | undefined, keys: readonly string[], usual: string): SortKey {
  const read = (given: string) => ({ key: given.replace(/^-/, ''), isDescending: given.startsWith('-') });
  const found = read(text ?? usual);
  return keys.includes(found.key) ? found : read(usual);
}

/** What the address holds after a click on a column: numbers begin with the largest, texts with the first. */
export function nextSort(now: SortKey, key: string, isNumber: boolean, usual: string): string | undefined {
  const isDescending = now.key === key ? !now.isDescending : isNumber;
  const text = `${isDescending ? '-' : ''}${key}`;
  return text === usual ? undefined : text;
}

/** Nothing comes last, whichever way round. */
export function sortRows<T>(rows: readonly T[], sort: SortKey, of: (row: T, key: string) => Cell): T[] {
  const sign = sort.isDescending ? -1 : 1;
  return rows
    .map((row, i) => ({ row, i, cell: of(row, sort.key) }))
    .sort((a, b) => {
      if (a.cell === null || b.cell === null) return Number(a.cell === null) - Number(b.cell === null) || a.i - b.i;
      const order =
        typeof a.cell === 'number' && typeof b.cell === 'number'
          ? a.cell - b.cell
          : String(a.cell).localeCompare(String(b.cell));
      return sign * order || a.i - b.i;
    })
    .map(({ row }) => row);
}
