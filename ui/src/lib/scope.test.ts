import { describe, expect, it } from 'vitest';
import { inScope, matchersOf, parseScope, scopeText, scopeTexts, toggleValue } from './scope';

describe('the scope', () => {
  it('is pairs in the address, the cluster first, each value once', () => {
    const labels = parseScope(['env=prod', 'cluster=b', 'cluster=a', 'cluster=b', 'broken', '=x', 'y=']);
    expect(labels).toEqual([
      { name: 'cluster', values: ['a', 'b'] },
      { name: 'env', values: ['prod'] },
    ]);
    expect(scopeTexts(labels)).toEqual(['cluster=a', 'cluster=b', 'env=prod']);
    expect(parseScope(scopeTexts(parseScope(['a=b=c'])) ?? [])).toEqual([{ name: 'a', values: ['b=c'] }]);
    expect(scopeTexts([])).toBeUndefined();
  });

  it('takes a value in and out', () => {
    const one = toggleValue([], 'cluster', 'a');
    expect(toggleValue(one, 'cluster', 'b')).toEqual([{ name: 'cluster', values: ['a', 'b'] }]);
    expect(toggleValue(one, 'cluster', 'a')).toEqual([]);
  });

  it('is a matcher per label, with values that hold signs of expressions taken as they are', () => {
    expect(matchersOf(parseScope(['cluster=a.b', 'cluster=c', 'env=x.y']))).toEqual([
      { name: 'cluster', op: '=~', value: 'a\\.b|c' },
      { name: 'env', op: '=', value: 'x.y' },
    ]);
  });

  it('holds what carries one of its values, and what does not carry the label', () => {
    const labels = parseScope(['cluster=a', 'env=prod']);
    expect(inScope(labels, { cluster: 'a' })).toBe(true);
    expect(inScope(labels, { cluster: 'b', env: 'prod' })).toBe(false);
  });

  it('fits a chip', () => {
    expect(scopeText({ labels: parseScope(['cluster=a', 'env=x', 'env=y', 'env=z']), dedup: false, deny: true })).toBe(
      'cluster a · env 3 values · replicas apart · whole answers only',
    );
  });
});
