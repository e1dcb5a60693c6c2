import { describe, expect, it } from 'vitest';
import { noteRanges, offsetOf, readNotes } from './notes';

describe('a note', () => {
  it('is told without its prefix and with the place it names', () => {
    const query = 'rate(process_memory_usage_bytes[2m]) / 0';
    const [note] = readNotes(
      [],
      [
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "process_memory_usage_bytes" (1:6)',
      ],
      query,
    );
    expect(note).toEqual({
      level: 'info',
      text: 'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "process_memory_usage_bytes"',
      line: 1,
      column: 6,
      length: 'process_memory_usage_bytes'.length,
    });
  });

  it('finds its place on a later line', () => {
    const query = 'sum(\n  rate(x[5m])\n)';
    const [note] = readNotes(['PromQL warning: odd (2:8)'], [], query);
    expect(note).toMatchObject({ level: 'warning', line: 2, column: 8, length: 1 });
    expect(query.slice(offsetOf(query, 2, 8)).startsWith('x[5m]')).toBe(true);
  });

  it('is a range of the text', () => {
    const query = 'sum(\n  rate(abc[5m])\n)';
    const [range, ...more] = noteRanges(readNotes(['odd (2:8)', 'all of it'], [], query), query);
    expect(more).toEqual([]);
    expect(query.slice(range?.from, range?.to)).toBe('abc');
  });

  it('concerns the whole where it names no place, or one outside of the query', () => {
    expect(readNotes(['results truncated due to limit'], [], 'up')[0]).toMatchObject({ line: null, column: null });
    expect(readNotes(['odd (7:8)'], [], 'up')[0]).toMatchObject({ text: 'odd', line: null });
    expect(readNotes(['odd (1:800)'], [], 'up')[0]).toMatchObject({ line: null });
  });
});
