import { describe, expect, it } from 'vitest';
import { byClause, escapeRegex, narrow, parseSelector, quote, selector } from './promtext';

describe('a selector', () => {
  it('quotes names that the plain grammar has no room for', () => {
    expect(selector('up')).toBe('up');
    expect(selector('http.requests', [{ name: 'service.name', op: '=', value: 'a"b' }])).toBe(
      '{"http.requests", "service.name"="a\\"b"}',
    );
    expect(selector('', [{ name: 'job', op: '=~', value: 'a|b' }])).toBe('{job=~"a|b"}');
    expect(byClause(['job', 'k8s.pod'])).toBe(' by (job, "k8s.pod")');
    expect(byClause([])).toBe('');
  });

  it.each([
    'up',
    'up{job="a", instance!~"b.*"}',
    '{"http.requests", "service.name"="a\\"b"}',
    '{job=~"a|b"}',
    'x{a="back\\\\slash", b="line\\nbreak"}',
  ])('%s is read back as it was written', (text) => {
    const read = parseSelector(text);
    expect(read && selector(read.metric, read.matchers)).toBe(text);
  });

  it('takes the name out of a matcher', () => {
    expect(parseSelector('{__name__="up",job="x"}')).toEqual({
      metric: 'up',
      matchers: [{ name: 'job', op: '=', value: 'x' }],
    });
  });

  it.each(['', '{}', 'rate(x[5m])', '{job=}', '{job="a"', 'x{a="b" c="d"}', 'a b', '{="a"}'])('%s is none', (text) => {
    expect(parseSelector(text)).toBeNull();
  });

  it('is narrowed by one condition a label', () => {
    const first = narrow([], { name: 'a', op: '=', value: '1' });
    expect(narrow(first, { name: 'a', op: '=', value: '2' })).toEqual([{ name: 'a', op: '=', value: '2' }]);
    expect(narrow(first, { name: 'a', op: '!=', value: '2' })).toHaveLength(2);
  });

  it('escapes what regular expressions and strings give a meaning to', () => {
    expect(escapeRegex('a.b|c')).toBe('a\\.b\\|c');
    expect(quote('a\\b\n')).toBe('"a\\\\b\\n"');
  });
});
