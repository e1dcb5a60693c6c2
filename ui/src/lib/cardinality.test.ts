import { describe, expect, it } from 'vitest';
import { analyse, churnQueries, dropRule, saving, scopeSelector } from './cardinality';

const sets = ['a', 'b', 'c'].flatMap((pod) =>
  ['200', '500'].map((code) => ({ __name__: 'requests_total', pod, code, job: 'shop' })),
);
sets.push({ __name__: 'up', pod: 'a', code: '', job: 'shop' });

describe('the analysis of label sets', () => {
  const found = analyse(sets.map(({ code, ...rest }) => (code ? { ...rest, code } : rest)));

  it('counts series per metric, label and pair', () => {
    expect(found.series).toBe(7);
    expect(found.metrics).toEqual([
      { name: 'requests_total', count: 6 },
      { name: 'up', count: 1 },
    ]);
    expect(found.labels.map((one) => [one.name, one.values, one.series, one.bytes])).toEqual([
      ['pod', 3, 7, 7],
      ['code', 2, 6, 18],
      ['job', 1, 7, 28],
    ]);
    expect(found.pairs[0]).toEqual({ name: 'job', value: 'shop', count: 7 });
  });

  it('knows what leaving a label out saves', () => {
    expect(Object.fromEntries(found.labels.map((one) => [one.name, one.saves]))).toEqual({ pod: 4, code: 3, job: 0 });
  });

  it('knows what several together save, which is not their sum', () => {
    expect(saving(sets, ['pod', 'code'])).toBe(5);
    expect(saving(sets, [])).toBe(0);
    expect(saving(sets, ['nothing'])).toBe(0);
  });

  it('counts bytes as UTF-8', () => {
    expect(analyse([{ a: 'ä€🙂' }]).labels[0]?.bytes).toBe(new TextEncoder().encode('ä€🙂').length);
  });

  it('agrees with a simple count on many sets', () => {
    const many = Array.from({ length: 3000 }, (_, i) => ({ a: `${i % 50}`, b: `${i % 7}`, c: `${i}` }));
    const distinct = new Set(many.map((one) => `${one.a} ${one.b}`)).size;
    expect(saving(many, ['c'])).toBe(3000 - distinct);
    expect(saving(many, ['a', 'b'])).toBe(0);
  });
});

describe('the queries of a scope', () => {
  it('always hold a matcher that does not match nothing', () => {
    expect(scopeSelector(null)).toBe('{__name__!=""}');
    expect(scopeSelector({ metric: '', matchers: [{ name: 'a', op: '!=', value: 'b' }] })).toBe(
      '{a!="b", __name__!=""}',
    );
    expect(scopeSelector({ metric: 'up', matchers: [{ name: 'a', op: '!=', value: 'b' }] })).toBe('up{a!="b"}');
  });

  it('compare names too where they can differ', () => {
    expect(churnQueries({ metric: 'up', matchers: [] }, 300)).toEqual({
      appeared: 'count(up unless up offset 5m) or vector(0)',
      ended: 'count(up offset 5m unless up) or vector(0)',
    });
    expect(churnQueries(null, 300).appeared).toContain('"__name__"');
  });

  it('become lines of a scrape configuration', () => {
    expect(dropRule('', ['pod', 'a.b'])).toBe(
      'metric_relabel_configs:\n  - action: labeldrop\n    regex: "pod|a\\\\.b"',
    );
    expect(dropRule('up', ['pod'])).toContain('target_label: "pod"\n    replacement: ""');
  });
});
