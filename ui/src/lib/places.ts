/** A query that was sent with additions: places that the answer names are those of what was sent, not of what is read. */

export interface Edit {
  /** Offset in the text as it was. */
  at: number;
  text: string;
}

export interface Narrowed {
  text: string;
  /** Ascending. */
  edits: readonly Edit[];
}

/** `(1:20)`, `1:20: …` and `line 1, col 20` in a message, moved to where the same thing stands in the text as it was. */
export function restorePlaces(message: string, narrowed: Narrowed, original: string): string {
  const move = (line: string, column: string): [number, number] => {
    const offset = offsetIn(narrowed.text, Number(line), Number(column));
    return placeIn(original, originalOffset(offset, narrowed.edits));
  };
  return message
    .replace(/(^|\(|\s)(\d{1,5}):(\d{1,6})(?=\)\s*$|:)/g, (_, before: string, line: string, column: string) => {
      const [l, c] = move(line, column);
      return `${before}${l}:${c}`;
    })
    .replace(
      /line (\d{1,5}),? col(umn)?:? ?(\d{1,6})/gi,
      (_, line: string, word: string | undefined, column: string) => {
        const [l, c] = move(line, column);
        return `line ${l}, col${word ?? ''} ${c}`;
      },
    );
}

/** Of a place inside an addition: where the addition was put. */
function originalOffset(offset: number, edits: readonly Edit[]): number {
  let added = 0;
  for (const edit of edits) {
    const start = edit.at + added;
    if (offset < start) break;
    if (offset < start + edit.text.length) return edit.at;
    added += edit.text.length;
  }
  return offset - added;
}

function offsetIn(text: string, line: number, column: number): number {
  let at = 0;
  for (let i = 1; i < line; i += 1) {
    const end = text.indexOf('\n', at);
    if (end < 0) break;
    at = end + 1;
  }
  return at + column - 1;
}

function placeIn(text: string, offset: number): [number, number] {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return [line, offset - (before.lastIndexOf('\n') + 1) + 1];
}
