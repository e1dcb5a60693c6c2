import { describe, expect, it } from 'vitest';
import { everyStream, isLines, readSearch, wordsToFilters } from './searchtext';

const ALL = '{service_name=~".+"}';
const read = (text: string) => readSearch(text, ALL);

describe('the search line', () => {
  it('takes LogQL as it stands', () => {
    expect(read('{a="b"} |= "x"')).toEqual({ query: '{a="b"} |= "x"', kind: 'lines', written: 'logql' });
    for (const text of ['{', '{}', '{ app', '{app=', '{k8s.pod=~"x"}']) expect(read(text).written).toBe('logql');
    for (const text of [
      'sum by (level) (count_over_time({a="b"} [5m]))',
      'rate({a="b"}[1m]) / 2',
      '(sum(rate({a="b"}[1m])))',
      'topk(5, sum by (x) (rate({a="b"}[1m])))',
      'vector(1)',
    ])
      expect(read(text)).toEqual({ query: text, kind: 'metric', written: 'logql' });
  });

  it('reads words as lines that hold all of them, in any stream', () => {
    expect(read('error timeout').query).toBe(`${ALL} |= "error" |= "timeout"`);
    expect(read('"connection refused" -debug').query).toBe(`${ALL} |= "connection refused" != "debug"`);
    expect(read('a OR b c').query).toBe(`${ALL} |= "a" or "b" |= "c"`);
  });

  it('takes what only looks like a query for text', () => {
    for (const text of [
      '{"level":"error"}',
      'count (the lines)',
      'rate limit exceeded',
      '5% of {x}',
      '!important',
      '|',
    ]) {
      expect(read(text).written, text).toBe('words');
    }
    expect(read('{"level":"error"}').query).toBe(`${ALL} |= "{\\"level\\":\\"error\\"}"`);
  });

  it('puts stages behind every stream', () => {
    expect(read('|= "x" | json').query).toBe(`${ALL} |= "x" | json`);
    expect(read('| json | status >= 500')).toMatchObject({ written: 'stages', query: `${ALL} | json | status >= 500` });
    expect(read('!= "x"').query).toBe(`${ALL} != "x"`);
  });

  it('shows everything where nothing is typed, and nothing where nothing is known', () => {
    expect(read(' ').query).toBe(ALL);
    expect(readSearch('error', '').query).toBe('');
    expect(isLines(readSearch('', ''))).toBe(true);
  });

  it('makes text of any characters, never a query that ends early', () => {
    expect(wordsToFilters('say "hi')).toBe('|= "say" |= "\\"hi"');
    expect(wordsToFilters('a\\b')).toBe('|= "a\\\\b"');
    expect(wordsToFilters('- -- OR x')).toBe('|= "-" |= "--" or "x"');
    expect(wordsToFilters('x '.repeat(100)).match(/\|=/g)).toHaveLength(30);
  });
});

it('selects every stream by a label that lines usually have', () => {
  expect(everyStream(['zone', 'service_name', 'cluster'])).toBe('{cluster=~".+"}');
  expect(everyStream(['zone'])).toBe('{zone=~".+"}');
  expect(everyStream([])).toBe('');
});
