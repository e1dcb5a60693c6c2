import { describe, expect, it } from 'vitest';
import { niceStep, promDuration } from './steps';

describe('steps', () => {
  it('are round and never finer than asked', () => {
    expect(niceStep(36e5, 360)).toBe(10);
    expect(niceStep(36e5, 60, 15)).toBe(60);
    expect(niceStep(3e5, 360)).toBe(1);
    expect(niceStep(86400e3 * 365 * 10, 300)).toBe(604800 * 2);
  });

  it('are written as durations', () => {
    expect([1, 90, 3600, 90000].map(promDuration)).toEqual(['1s', '1m30s', '1h', '1d1h']);
  });
});
