import { describe, expect, it } from 'vitest';
import { isTraceField, linePieces, traceIdOf } from './linetext';

const ID = 'abcdef0123456789abcdef0123456789';
const words = (...texts: string[]) => ({ texts, patterns: [] });
const of = (line: string, labels: Record<string, string> = {}) => ({ line, labels });

describe('the pieces of a line', () => {
  it('mark what was searched for, special characters included', () => {
    expect(linePieces('a (b) a', words('(b)'))).toEqual([
      { text: 'a ', marked: false, style: '' },
      { text: '(b)', marked: true, style: '' },
      { text: ' a', marked: false, style: '' },
    ]);
    expect(linePieces('abc', words())).toEqual([{ text: 'abc', marked: false, style: '' }]);
  });

  it('put marks and colours together where they cross', () => {
    const pieces = linePieces('\u001b[31mred\u001b[0m car', words('ed c'));
    expect(pieces.map(({ text, marked, style }) => [text, marked, style])).toEqual([
      ['r', false, 'ansi-red'],
      ['ed', true, 'ansi-red'],
      [' c', true, ''],
      ['ar', false, ''],
    ]);
  });

  it('join marks that touch, and take expressions', () => {
    const pieces = linePieces('foobar foo', { texts: ['foo', 'oba'], patterns: [/r f/g] });
    expect(pieces.filter((one) => one.marked).map((one) => one.text)).toEqual(['foobar foo']);
  });

  it('name the trace an id leads to', () => {
    const pieces = linePieces(`done ${ID}!`, words());
    expect(pieces.map((one) => one.traceId)).toEqual([undefined, ID, undefined]);
  });

  it('are the whole line, whatever is in it', () => {
    for (const line of ['', 'x'.repeat(5000), `${ID} ${ID}`, 'aaaa'.repeat(300)]) {
      expect(linePieces(line, words('a', 'aa')).map((one) => one.text).join('')).toBe(line); // prettier-ignore
    }
  });
});

describe('the trace of a line', () => {
  it('is found in a field, by name in the text, or alone in it', () => {
    expect(traceIdOf(of('', { trace_id: ID.toUpperCase() }))).toBe(ID);
    expect(traceIdOf(of(`{"trace_id":"${ID}"}`))).toBe(ID);
    expect(traceIdOf(of('traceID=0123456789abcdef x'))).toBe('0123456789abcdef');
    expect(traceIdOf(of(`request ${ID} failed`))).toBe(ID);
  });

  it('is not what merely looks like one', () => {
    expect(traceIdOf(of('traceid=nope'))).toBeUndefined();
    expect(traceIdOf(of('0'.repeat(32), { trace_id: '0'.repeat(32) }))).toBeUndefined();
    expect(traceIdOf(of('1'.repeat(32)))).toBeUndefined();
    expect(traceIdOf(of(`sha256:${ID}${ID}`))).toBeUndefined();
    expect(traceIdOf(of(`a-${ID}`))).toBeUndefined();
  });

  it('is told from other fields by its name', () => {
    expect(isTraceField('TraceID', ID)).toBe(true);
    expect(isTraceField('parent_trace_id', ID)).toBe(true);
    expect(isTraceField('span_id', ID)).toBe(false);
    expect(isTraceField('trace_id', 'x')).toBe(false);
  });
});
