/**
 * A JSON text that arrives in pieces, with one array in it that is too long to be parsed in one go. Elements of that array
 * are handed over as they become whole; the rest of the text is parsed at the end, with the array left empty.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Which array is cut: the value of this key, this many brackets deep. */
export interface Place {
  key: string;
  depth: number;
}

export class JsonPieces {
  readonly #place: Place;
  readonly #onItems: (items: unknown[]) => void;
  /** Everything around the array. */
  #frame = '';
  readonly #frameText = new TextDecoder();
  /** Bytes of elements that are not whole yet. */
  #held: Uint8Array[] = [];
  #cutting = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The string read last, outside of the array: a key, where a colon follows. */
  #key = '';
  #keyParts: Uint8Array[] = [];

  constructor(place: Place, onItems: (items: unknown[]) => void) {
    this.#place = place;
    this.#onItems = onItems;
  }

  /** Throws a `SyntaxError` where an element is no JSON. */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) at = this.#cutting ? this.#cut(bytes, at) : this.#pass(bytes, at);
  }

  /** What is around the array. Throws a `SyntaxError` where the text ended too early or is no JSON. */
  end(): unknown {
    return JSON.parse(this.#frame + this.#frameText.decode()) as unknown;
  }

  /** Reads what is not of the array, up to its bracket or to the end of the piece. */
  #pass(bytes: Uint8Array, from: number): number {
    let keyFrom = this.#inString ? from : -1;
    let i = from;
    for (; i < bytes.length; i += 1) {
      const byte = bytes[i];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) {
          this.#inString = false;
          this.#keyParts.push(bytes.subarray(keyFrom, i));
          this.#key = decode(this.#keyParts);
          this.#keyParts = [];
        }
      } else if (byte === QUOTE) {
        this.#inString = true;
        keyFrom = i + 1;
      } else if (byte === OPEN_OBJECT) this.#depth += 1;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.#depth -= 1;
      else if (byte === OPEN_ARRAY) {
        if (this.#depth === this.#place.depth && this.#key === this.#place.key) {
          this.#cutting = true;
          this.#depth = 0;
          i += 1;
          break;
        }
        this.#depth += 1;
      }
    }
    if (this.#inString) this.#keyParts.push(bytes.slice(keyFrom, i));
    this.#frame += this.#frameText.decode(bytes.subarray(from, i), { stream: true });
    return i;
  }

  /** Reads elements, up to the end of the array or of the piece. Its depth counts from inside the array. */
  #cut(bytes: Uint8Array, from: number): number {
    let depth = this.#depth;
    let inString = this.#inString;
    let escaped = this.#escaped;
    let start = depth > 0 || this.#held.length > 0 ? from : -1;
    let whole = -1;
    let i = from;
    for (; i < bytes.length; i += 1) {
      const byte = bytes[i];
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
      } else if (byte === QUOTE) inString = true;
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (depth === 0 && start < 0) start = i;
        depth += 1;
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        if (depth === 0) break;
        depth -= 1;
        if (depth === 0) whole = i + 1;
      }
    }
    const ended = i < bytes.length;
    if (whole >= 0) {
      this.#hand([...this.#held, bytes.subarray(start, whole)]);
      this.#held = [];
      start = nextStart(bytes, whole, i);
    }
    // A copy: the piece may be a view of a buffer that is used again.
    if (start >= 0 && start < i) this.#held.push(bytes.slice(start, i));
    this.#depth = depth;
    this.#inString = inString;
    this.#escaped = escaped;
    if (ended) this.#close();
    return i;
  }

  #hand(parts: readonly Uint8Array[]): void {
    this.#onItems(JSON.parse(`[${decode(parts)}]`) as unknown[]);
  }

  /** The closing bracket itself is read as part of the frame, where it takes the depth back. */
  #close(): void {
    this.#cutting = false;
    this.#depth = this.#place.depth + 1;
    this.#held = [];
    this.#key = '';
  }
}

/** Where the element after a comma begins, or -1 where none has yet. */
function nextStart(bytes: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i += 1) if (bytes[i] === OPEN_OBJECT || bytes[i] === OPEN_ARRAY) return i;
  return -1;
}

function decode(parts: readonly Uint8Array[]): string {
  const [only] = parts;
  if (parts.length === 1 && only) return new TextDecoder().decode(only);
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return new TextDecoder().decode(all);
}
