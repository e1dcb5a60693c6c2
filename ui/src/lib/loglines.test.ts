import { describe, expect, it } from 'vitest';
import { compareNs, flatten, nsToMs } from '../api/loki';
import { joinPages, keyNs, levelOf, lineKey, nextEdge, normaliseLevel } from './loglines';

const line = (ns: string, text: string, labels: Record<string, string> = {}) => ({
  ns,
  ms: nsToMs(ns),
  line: text,
  labels,
});

describe('levels', () => {
  it('have many spellings and one name', () => {
    expect(['ERROR', 'err', 'Error2', 'severe'].map(normaliseLevel)).toEqual(['error', 'error', 'error', 'error']);
    expect(['critical', 'WARNING', 'notice', 'dbg', 'TRACE', 'huh'].map(normaliseLevel)).toEqual([
      'fatal',
      'warn',
      'info',
      'debug',
      'trace',
      'unknown',
    ]);
  });

  it('come from the most trusted label', () => {
    expect(levelOf({ level: 'info', detected_level: 'error' })).toBe('error');
    expect(levelOf({})).toBe('unknown');
    expect(levelOf({ level: 'custom', severity_number: '17' })).toBe('error');
    expect(levelOf({ severity_number: '24' })).toBe('fatal');
  });
});

describe('pages of lines', () => {
  it('ask next for what ends just after the oldest instant seen, or begins with the newest', () => {
    expect(nextEdge([line('1000', 'a'), line('900', 'b')], 2, '2000', 'newest')).toBe('901');
    expect(nextEdge([line('900', 'a'), line('1000', 'b')], 2, '100', 'oldest')).toBe('1000');
    expect(nextEdge([line('1000', 'a')], 2, '2000', 'newest')).toBeUndefined();
    expect(nextEdge([], 2, '2000', 'oldest')).toBeUndefined();
  });

  it('step over an instant that fills a whole page', () => {
    expect(nextEdge([line('900', 'a'), line('900', 'b')], 2, '901', 'newest')).toBe('900');
    expect(nextEdge([line('900', 'a'), line('900', 'b')], 2, '900', 'oldest')).toBe('901');
  });

  it('join without doubling the lines of the shared instant and without losing new ones', () => {
    const joined = joinPages([
      [line('3', 'c'), line('2', 'x'), line('2', 'x')],
      [line('2', 'x'), line('2', 'x'), line('2', 'y'), line('1', 'a')],
    ]);
    expect(joined.map((one) => one.line)).toEqual(['c', 'x', 'x', 'y', 'a']);
  });
});

describe('nanoseconds', () => {
  it('order as numbers although they are text', () => {
    expect(compareNs('999', '1000')).toBeLessThan(0);
    expect(compareNs('1795218607000000001', '1795218607000000002')).toBeLessThan(0);
  });

  it('keep their milliseconds', () => {
    expect(nsToMs('1795218607123456789')).toBeCloseTo(1795218607123.4568, 3);
  });

  it('sort the lines of several streams newest first', () => {
    const lines = flatten([
      {
        stream: { a: '1' },
        values: [
          ['10', 'x'],
          ['30', 'z'],
        ],
      },
      { stream: { a: '2' }, values: [['20', 'y', { structuredMetadata: { t: '9' }, parsed: { n: 5 } }]] },
    ]);
    expect(lines.map((one) => one.line)).toEqual(['z', 'y', 'x']);
    expect(lines[1]?.labels).toEqual({ a: '2', t: '9', n: '5' });
    expect(lines[1]?.parts).toEqual({ stream: { a: '2' }, meta: { t: '9' }, parsed: { n: '5' } });
    expect(flatten([{ stream: {}, values: [['9', 'a'], ['10', 'b']] }], 'oldest').map((one) => one.line)).toEqual(['a', 'b']); // prettier-ignore
  });
});

it('gives a line the same key however its labels are ordered', () => {
  expect(lineKey(line('1', 'x', { a: '1', b: '2' }))).toBe(lineKey(line('1', 'x', { b: '2', a: '1' })));
  expect(keyNs(lineKey(line('1795218607000000001', 'x')))).toBe('1795218607000000001');
  expect(keyNs('nonsense')).toBeNull();
});
