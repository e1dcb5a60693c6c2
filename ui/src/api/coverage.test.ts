import { describe, expect, it } from 'vitest';
import { mergeCoverage, readCoverage, worstState } from './coverage';

describe('coverage', () => {
  const row = (cluster: string, state: string, reason = '') =>
    readCoverage({ coverage: [{ cluster, replica: '', signal: 'logs', state, reason }] });

  it('of a page is that of its least complete answer', () => {
    const merged = mergeCoverage([row('a', 'complete'), row('a', 'missing', 'refused'), row('b', 'late')]);
    expect(merged.map((one) => [one.cluster, one.state, one.reason])).toEqual([
      ['a', 'missing', 'refused'],
      ['b', 'late', ''],
    ]);
    expect(worstState(merged)).toBe('missing');
    expect(worstState([])).toBe('unknown');
  });

  it('in a state nobody knows counts as partial, never as fine', () => {
    expect(row('a', 'splendid')[0]?.state).toBe('partial');
    expect(readCoverage({ coverage: 'yes' })).toEqual([]);
    expect(readCoverage(null)).toEqual([]);
  });
});
