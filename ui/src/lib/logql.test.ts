import { describe, expect, it } from 'vitest';
import {
  addFilter,
  addLineFilter,
  addOneOf,
  countAll,
  countByLevel,
  countOneOf,
  isLogQuery,
  onlyLeftOut,
  quote,
  splitLogQuery,
  streamSelector,
  topValues,
  wantedOf,
} from './logql';

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
    expect(addFilter('{job="x"} |= "e"', 'host', 'n1', '=', 'stream')).toBe('{job="x", host="n1"} |= "e"');
    expect(addFilter('{}', 'host', 'n1', '!=', 'stream')).toBe('{host=~".+", host!="n1"}');
  });

  it('replaces the catch-all of its label and its own opposite', () => {
    expect(addFilter('{job=~".+"}', 'job', 'x', '=', 'stream')).toBe('{job="x"}');
    expect(addFilter('{job!="x", a="1"}', 'job', 'x', '=', 'stream')).toBe('{a="1", job="x"}');
  });

  it('on a field goes to the end of the pipeline', () => {
    expect(addFilter('{job="x"} | json', 'status', '500', '!=', 'meta')).toBe('{job="x"} | json | status!="500"');
    expect(addFilter('{job="x"}', 'status', '500', '=', 'meta')).toBe('{job="x"} | status="500"');
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

describe('a filter on what is in the line', () => {
  it('comes behind the parser that finds it, once', () => {
    expect(addFilter('{a="b"} |= "x"', 'status', '500', '=', 'json')).toBe('{a="b"} |= "x" | json | status="500"');
    expect(addFilter('{a="b"} | json | status="500"', 'path', '/', '!=', 'json')).toBe(
      '{a="b"} | json | status="500" | path!="/"',
    );
    expect(addFilter('{a="b"} | json x="y"', 'status', '1', '=', 'json')).toBe(
      '{a="b"} | json x="y" | json | status="1"',
    );
    expect(addFilter('{a="b"} |= "| json"', 'n', '1', '=', 'logfmt')).toBe('{a="b"} |= "| json" | logfmt | n="1"');
  });

  it('replaces its own opposite and does not double itself', () => {
    expect(addFilter('{a="b"} | n!="1" | m="2"', 'n', '1', '=', 'meta')).toBe('{a="b"} | m="2" | n="1"');
    expect(addFilter('{a="b"} | n="1"', 'n', '1', '=', 'meta')).toBe('{a="b"} | n="1"');
    expect(addFilter('{a="b"} | n="1" or m="2"', 'n', '1', '!=', 'meta')).toBe('{a="b"} | n="1" or m="2" | n!="1"');
  });

  it('of the line as it was sent stands right behind the selector', () => {
    expect(addLineFilter('{a="b"} | json', '|>', 'took <_> ms "x"')).toBe('{a="b"} |> "took <_> ms \\"x\\"" | json');
    expect(addLineFilter('{a="b"} !> "x"', '!>', 'x')).toBe('{a="b"} !> "x"');
  });
});

describe('counts', () => {
  it('do not fail for lines that a parser makes nothing of', () => {
    expect(countAll('{a="b"} | json', '1m')).toBe(
      'sum(count_over_time({a="b"} | json | drop __error__, __error_details__ [1m]))',
    );
    expect(countAll('{a="b"}', '1m')).toBe('sum(count_over_time({a="b"} [1m]))');
  });

  it('of a field in the line parse it first', () => {
    expect(topValues('{a="b"}', 'n', 'json', '1h', 3)).toBe(
      'topk(3, sum by (n) (count_over_time({a="b"} | json | drop __error__, __error_details__ [1h])))',
    );
    expect(countOneOf('{a="b"}', 'n', ['x', ''], 'meta', '1m')).toBe(
      'sum by (n) (count_over_time({a="b"} | n=~"x|" [1m]))',
    );
    expect(countByLevel('{a="b"}', '1m')).toContain('sum by (detected_level, level,');
  });
});

it('selects exactly one stream', () => {
  expect(streamSelector({ b: 'x"y', a: '1' })).toBe('{a="1", b="x\\"y"}');
});

it('knows what was searched for', () => {
  const wanted = wantedOf('{a="b"} |= "time\\"out" or `x` |= `raw` != "no" |~ "(?i)er+or" |~ "(a+)+" | json');
  expect(wanted.texts).toEqual(['time"out', 'x', 'raw']);
  expect(wanted.patterns.map(String)).toEqual(['/er+or/gi']);
  expect(wantedOf('{a="|= `b`"}').texts).toEqual([]);
});

it('tells a query that only leaves patterns out from one that asks for more', () => {
  expect(onlyLeftOut('{a="b"} !> "x <_>" !> `y`')).toEqual(['x <_>', 'y']);
  expect(onlyLeftOut('{a="b"}')).toEqual([]);
  expect(onlyLeftOut('{a="b"} !> "x" |= "y"')).toBeNull();
  expect(onlyLeftOut('{a="b"} | json')).toBeNull();
});
