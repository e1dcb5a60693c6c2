import { describe, expect, it } from 'vitest';
import { isoOfNs, linesToCsv, linesToJson } from './loglist';
import { parseSaved, searchToKeep, withoutSaved, withSaved } from './saved';

const line = {
  ns: '1795218607123456789',
  ms: 1795218607123.4568,
  line: 'a, "b"\n\u001b[31mred\u001b[0m',
  labels: { level: 'error', n: '5' },
};

describe('lines as a file', () => {
  it('keep their nanoseconds', () => {
    expect(isoOfNs('1795218607123456789')).toBe('2026-11-20T23:50:07.123456789Z');
    expect(isoOfNs('5')).toBe('1970-01-01T00:00:00.000000005Z');
  });

  it('have the columns that are shown, and no colours', () => {
    expect(linesToCsv([line], ['n', 'json:x'], true)).toBe(
      'time,level,n,x,line\r\n2026-11-20T23:50:07.123456789Z,error,5,,"a, ""b""\nred"',
    );
    expect(linesToCsv([line], [], false)).not.toContain('time,level');
  });

  it('are whole as JSON', () => {
    const [back] = JSON.parse(`[${linesToJson([line])}]`) as [{ line: string; ns: string }];
    expect(back).toMatchObject({ ns: line.ns, line: line.line, fields: line.labels });
  });
});

describe('saved searches', () => {
  it('are a name and an address, the last saved first', () => {
    const list = withSaved(withSaved([], 'a', '?q=1'), 'b', '?q=2');
    expect(list.map((one) => one.name)).toEqual(['b', 'a']);
    expect(withSaved(list, ' a ', '?q=3')[0]).toEqual({ name: 'a', search: '?q=3' });
    expect(withSaved(list, '  ', '?q=3')).toEqual(list);
    expect(withoutSaved(list, 'b')).toEqual([{ name: 'a', search: '?q=1' }]);
    expect(parseSaved(JSON.stringify(list))).toEqual(list);
  });

  it('that something else wrote are left out', () => {
    expect(parseSaved(null)).toEqual([]);
    expect(parseSaved('{')).toEqual([]);
    expect(parseSaved('[null, 5, {"name":"a"}, {"name":"x","search":"javascript:1"}]')).toEqual([]);
  });

  it('do not keep which line was open', () => {
    expect(searchToKeep('?q=a&line=1-x&around=5&cols=b')).toBe('?q=a&cols=b');
  });
});
