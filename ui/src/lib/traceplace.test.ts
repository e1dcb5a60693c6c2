import { expect, it } from 'vitest';
import { placeInTraceql } from './traceplace';

it('tells what is typed', () => {
  const at = (text: string) => placeInTraceql(text);
  expect(at('{ ')).toEqual({ kind: 'attribute', typed: '', fresh: true });
  expect(at('{ resource.ser')).toEqual({ kind: 'attribute', typed: 'resource.ser', fresh: true });
  expect(at('{ .a = 1 && sp')).toEqual({ kind: 'attribute', typed: 'sp', fresh: true });
  expect(at('{ .a = 1 ')).toEqual({ kind: 'attribute', typed: '', fresh: false });
  expect(at('{ resource.service.name = "che')).toEqual({
    kind: 'value',
    attribute: 'resource.service.name',
    typed: 'che',
    quoted: true,
  });
  expect(at('{ status = er')).toEqual({ kind: 'value', attribute: 'status', typed: 'er', quoted: false });
  expect(at('{ status=')).toEqual({ kind: 'value', attribute: 'status', typed: '', quoted: false });
  expect(at('{} | ra')).toEqual({ kind: 'stage', typed: 'ra' });
  expect(at('{} | by(resource.')).toEqual({ kind: 'attribute', typed: 'resource.', fresh: true });
  expect(at('{ .a = "x" || ')).toEqual({ kind: 'attribute', typed: '', fresh: true });
  for (const text of ['', '{} ', '{} // {', '{ name = `a', '{} | rate() ']) expect(at(text).kind, text).toBe('none');
});
