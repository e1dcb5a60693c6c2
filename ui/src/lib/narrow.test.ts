import { describe, expect, it } from 'vitest';
import { narrowLogql, narrowPromql } from './narrow';
import { restorePlaces } from './places';
import type { Matcher } from './promtext';

const one: Matcher[] = [{ name: 'cluster', op: '=', value: 'dev-01' }];
const two: Matcher[] = [...one, { name: 'host.name', op: '=~', value: 'a"|b' }];
const prom = (expr: string, matchers = one) => narrowPromql(expr, matchers)?.text;
const logs = (query: string) => narrowLogql(query, one)?.text;

describe('a scope in PromQL', () => {
  it('goes into every selector, bare or with braces, and nowhere else', () => {
    expect(prom('up')).toBe('up{cluster="dev-01"}');
    expect(prom('up{}')).toBe('up{cluster="dev-01"}');
    expect(prom('sum by (cluster) (rate(a{x="}", y=~"b,"}[5m])) / on (job) group_left b offset 5m')).toBe(
      'sum by (cluster) (rate(a{cluster="dev-01", x="}", y=~"b,"}[5m])) / on (job) group_left b{cluster="dev-01"} offset 5m',
    );
    expect(prom('{__name__=~"up|down",}')).toBe('{cluster="dev-01", __name__=~"up|down",}');
    expect(prom('{"http.requests", a="b"}')).toBe('{cluster="dev-01", "http.requests", a="b"}');
    expect(prom('max_over_time(rate(x[1m])[1h:5m] @ end())')).toBe(
      'max_over_time(rate(x{cluster="dev-01"}[1m])[1h:5m] @ end())',
    );
    expect(prom('label_replace(up, "cluster", "$1", "up", "up(.*)")')).toBe(
      'label_replace(up{cluster="dev-01"}, "cluster", "$1", "up", "up(.*)")',
    );
  });

  it('leaves numbers, texts and comments alone', () => {
    expect(prom('vector(1) + time()')).toBe('vector(1) + time()');
    expect(prom('up # up{a="b"}\n+ down')).toBe('up{cluster="dev-01"} # up{a="b"}\n+ down{cluster="dev-01"}');
    expect(prom('up{ # nothing yet\n}')).toBe('up{cluster="dev-01" # nothing yet\n}');
  });

  it('is a second condition beside one on the same label', () => {
    expect(prom('up{cluster="x"}')).toBe('up{cluster="dev-01", cluster="x"}');
  });

  it('quotes names and values that need it', () => {
    expect(prom('up', two)).toBe('up{cluster="dev-01", "host.name"=~"a\\"|b"}');
  });

  it('is not put into what does not parse', () => {
    expect(prom('sum(rate(up[5m])')).toBeUndefined();
    expect(prom('up{')).toBeUndefined();
  });
});

describe('a scope in LogQL', () => {
  it('goes into the stream selectors', () => {
    expect(logs('{app="x"} |= "{job}" | json')).toBe('{cluster="dev-01", app="x"} |= "{job}" | json');
    expect(logs('sum by (level) (rate({app=~".+"} | logfmt [5m])) / sum(rate({app="y"}[5m]))')).toBe(
      'sum by (level) (rate({cluster="dev-01", app=~".+"} | logfmt [5m])) / sum(rate({cluster="dev-01", app="y"}[5m]))',
    );
    // Loki refuses an empty selector; with the scope in it, it would say something else than was asked.
    expect(logs('{}')).toBeUndefined();
    expect(logs('{app="x"')).toBeUndefined();
  });
});

describe('places in messages about a narrowed query', () => {
  it('are moved to where the same thing stands in the text that is read', () => {
    const text = 'up +\nrate(down)';
    const narrowed = narrowPromql(text, one);
    if (!narrowed) throw new Error('it parses');
    expect(narrowed.text).toBe('up{cluster="dev-01"} +\nrate(down{cluster="dev-01"})');
    expect(restorePlaces('PromQL info: rates a gauge (2:6)', narrowed, text)).toBe('PromQL info: rates a gauge (2:6)');
    expect(restorePlaces('x "up" (1:22)', narrowed, text)).toBe('x "up" (1:4)');
    expect(restorePlaces('1:21: no', narrowed, text)).toBe('1:3: no');
    expect(restorePlaces('at line 2, col 28: no', narrowed, text)).toBe('at line 2, col 10: no');
    // Inside what was added: where it was added.
    expect(restorePlaces('1:10: no', narrowed, text)).toBe('1:3: no');
    expect(restorePlaces('no answer within 10:30', narrowed, text)).toBe('no answer within 10:30');
  });
});
