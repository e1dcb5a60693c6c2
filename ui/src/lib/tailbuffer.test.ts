import { describe, expect, it } from 'vitest';
import { readTailMessage } from '../api/tail';
import { EMPTY_TAIL, follow, MOST_SHOWN, MOST_WAITING, pause, receive } from './tailbuffer';

const line = (n: number) => ({ ns: String(n), ms: 0, line: String(n), labels: {} });
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => line(from + i));
const texts = (list: readonly { line: string }[]) => list.map((one) => one.line).join(' ');

describe('a live tail', () => {
  it('shows the newest on top, late ones where their time is', () => {
    let tail = receive(EMPTY_TAIL, [line(10), line(12)], 0);
    tail = receive(tail, [line(13), line(11)], 0);
    expect(texts(tail.shown)).toBe('13 12 11 10');
    expect(tail.received).toBe(4);
  });

  it('moves nothing while it is read, counts what waits, and shows it afterwards', () => {
    let tail = pause(receive(EMPTY_TAIL, [line(1)], 0));
    tail = receive(tail, [line(2), line(3)], 4);
    expect([texts(tail.shown), tail.waiting.length, tail.dropped]).toEqual(['1', 2, 4]);
    tail = follow(tail);
    expect([texts(tail.shown), tail.waiting.length, tail.paused]).toEqual(['3 2 1', 0, false]);
  });

  it('holds so many lines and no more, and says how many it let go', () => {
    let tail = receive(EMPTY_TAIL, lines(0, MOST_SHOWN + 10), 0);
    expect(tail.shown).toHaveLength(MOST_SHOWN);
    tail = receive(pause(tail), lines(10_000, 10_000 + MOST_WAITING + 3), 0);
    expect([tail.waiting.length, tail.passed]).toEqual([MOST_WAITING, 3]);
    expect(follow(tail).shown).toHaveLength(MOST_SHOWN);
  });

  it('is the same object where nothing came', () => {
    expect(receive(EMPTY_TAIL, [], 0)).toBe(EMPTY_TAIL);
    expect(follow(EMPTY_TAIL)).toBe(EMPTY_TAIL);
  });
});

describe('a message of a tail', () => {
  it('holds lines, how many were left out, and coverage where it changed', () => {
    const message = readTailMessage(
      JSON.stringify({
        streams: [{ stream: { a: 'b' }, values: [['5', 'x']] }],
        dropped_entries: [{ labels: {}, timestamp: '4' }],
        coverage: [{ cluster: 'c', state: 'missing' }],
      }),
    );
    expect(message?.lines).toEqual([{ ns: '5', ms: 0, line: 'x', labels: { a: 'b' } }]);
    expect([message?.dropped, message?.coverage?.[0]?.state]).toEqual([1, 'missing']);
    expect(readTailMessage('{"streams":[]}')).toEqual({ lines: [], dropped: 0, coverage: null });
  });

  it('that is none is left alone', () => {
    for (const text of ['', 'null', '5', '{', '{"streams":[null,{"values":3}]}']) {
      expect(readTailMessage(text)?.lines ?? []).toEqual([]);
    }
  });
});
