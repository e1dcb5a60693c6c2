/** How wide the columns of a list of lines are. */
import type { LogLine } from '../../api/loki';
import { readFieldKey, valueOf } from '../../lib/fields';

const LOOKED_AT = 100;
/** In characters. */
const NARROWEST = 8;
const WIDEST = 34;

/** In characters, from the first lines: later ones must not move what is read. */
export function columnWidths(lines: readonly LogLine[], keys: readonly string[]): Map<string, number> {
  const first = lines.slice(0, LOOKED_AT);
  return new Map(
    keys.map((key) => {
      const longest = first.reduce((most, line) => Math.max(most, valueOf(line, key)?.length ?? 0), 0);
      // The head has a cross behind its name.
      const wanted = Math.max(longest, readFieldKey(key).name.length + 3);
      return [key, Math.min(WIDEST, Math.max(NARROWEST, wanted + 1))];
    }),
  );
}
