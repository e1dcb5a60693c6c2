import { describe, expect, it } from 'vitest';
import { addFilter, addOneOf, isLogQuery, quote, searchedTexts, splitLogQuery } from './logql';

describe('a log query', () => {
  it('is split after its selector, braces in strings notwithstanding', () => {
    expect(splitLogQuery('{a="}"} |= "x"')).toEqual({ selector: '{a="}"}', pipeline: '|= "x"' });
    expect(splitLogQuery('{a=`\\`}')).toEqual({ selector: '{a=`\\`}', pipeline: '' });
    expect(splitLogQuery('{a="b"')).toBeNull();
  });

  it('is told from a metric over lines', () => {
    expect(isLogQuery('{a="b"} | json')).toBe(true);
    expect(isLogQuery('rate({a="b"}[5m])')).toBe(false);
  });
});

describe('a filter', () => {
  it('on a stream label goes into the selector', () => {
    expect(addFilter('{job="x"} |= "e"', 'host', 'n1', '=', true)).toBe('{job="x", host="n1"} |= "e"');
    expect(addFilter('{}', 'host', 'n1', '!=', true)).toBe('{host!="n1"}');
  });

  it('replaces the catch-all of its label and its own opposite', () => {
    expect(addFilter('{job=~".+"}', 'job', 'x', '=', true)).toBe('{job="x"}');
    expect(addFilter('{job!="x", a="1"}', 'job', 'x', '=', true)).toBe('{a="1", job="x"}');
  });

  it('on a field goes to the end of the pipeline', () => {
    expect(addFilter('{job="x"} | json', 'status', '500', '!=', false)).toBe('{job="x"} | json | status!="500"');
    expect(addFilter('{job="x"}', 'status', '500', '=', false)).toBe('{job="x"} | status="500"');
  });

  it('may allow one of several values', () => {
    expect(addOneOf('{a="b"}', 'level', ['error'])).toBe('{a="b"} | level="error"');
    expect(addOneOf('{a="b"} | json', 'level', ['err', 'e.r'])).toBe('{a="b"} | json | level=~"err|e\\\\.r"');
    expect(addOneOf('{a="b"}', 'level', [])).toBe('{a="b"}');
  });

  it('quotes what it is given', () => {
    expect(quote('a"b\\c\nd')).toBe('"a\\"b\\\\c\\nd"');
  });
});

it('knows which texts were searched for', () => {
  expect(searchedTexts('{a="b"} |= "time\\"out" |= `raw` != "no"')).toEqual(['time"out', 'raw']);
});
