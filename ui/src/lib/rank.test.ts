import { describe, expect, it } from 'vitest';
import { rank } from './rank';

describe('ranking', () => {
  it('prefers the start of the name, then of a word', () => {
    expect(rank(['xcpu', 'sys_cpu', 'cpu_time', 'other'], 'cpu', (name) => name, 10)).toEqual([
      'cpu_time',
      'sys_cpu',
      'xcpu',
    ]);
  });

  it('wants every word', () => {
    expect(rank(['a_b', 'a_c'], 'a c', (name) => name, 10)).toEqual(['a_c']);
  });
});
