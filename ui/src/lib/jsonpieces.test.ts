import { describe, expect, it } from 'vitest';
import { JsonPieces } from './jsonpieces';
import { seeded } from './seeded';

const PLACE = { key: 'spans', depth: 3 };

function read(text: string, sizes: () => number) {
  const items: unknown[] = [];
  const pieces = new JsonPieces(PLACE, (some) => items.push(...some));
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    const next = at + Math.max(1, sizes());
    pieces.push(bytes.slice(at, next));
    at = next;
  }
  return { items, frame: pieces.end() };
}

const SPANS = [
  { id: 'a"]}\\', tags: [{ key: 'naïve ☃ 𝄞', value: '[{"spans":[1]}]' }], n: -1.5e3, none: null },
  { id: '', tags: [], deep: [[[{}]]] },
  { id: 'c', text: '\\\\"' },
];
const BODY = {
  note: 'the key "spans" in a text',
  data: [{ traceID: 't', spans: SPANS, processes: { p1: { spans: [1, 2], tags: [] } } }],
  spans: [7],
  coverage: [{ cluster: 'spans' }],
};
const FRAME = { ...BODY, data: [{ ...BODY.data[0], spans: [] }] };

describe('a text in pieces', () => {
  it.each([1, 2, 3, 7, 64, 100_000])('gives its elements and its frame, whatever the size: %i', (size) => {
    for (const text of [JSON.stringify(BODY), JSON.stringify(BODY, null, 2)])
      expect(read(text, () => size)).toEqual({ items: SPANS, frame: FRAME });
  });

  it('gives the same for pieces of random sizes', () => {
    const random = seeded(7);
    for (let round = 0; round < 200; round += 1)
      expect(read(JSON.stringify(BODY), () => Math.floor(random() * 40))).toEqual({ items: SPANS, frame: FRAME });
  });

  it('may hold no element, or no array at all', () => {
    expect(read('{"data":[{"spans":[ ]}]}', () => 4)).toEqual({ items: [], frame: { data: [{ spans: [] }] } });
    expect(read('{"data":null}', () => 4)).toEqual({ items: [], frame: { data: null } });
  });

  it('says so where it is cut off or is no JSON', () => {
    expect(() => read('{"data":[{"spans":[{"a":1},{"b"', () => 5)).toThrow(SyntaxError);
    expect(() => read('{"data":[{"spans":[{"a":}]}]}', () => 5)).toThrow(SyntaxError);
    expect(() => read('<html>', () => 5)).toThrow(SyntaxError);
  });
});
