import { describe, expect, it } from 'vitest';
import { formatDateTime, formatDurationUs, formatLogTime, formatRange, formatSpan, formatTick } from './timeformat';

const ms = Date.UTC(2026, 10, 20, 3, 5, 7, 12);

describe('written times', () => {
  it('use a 24 h clock', () => {
    expect(formatDateTime(Date.UTC(2026, 10, 20, 15, 0, 0), 'utc')).toBe('2026-11-20 15:00:00');
    expect(formatLogTime(ms, 'utc', false)).toBe('03:05:07.012');
    expect(formatLogTime(ms, 'utc', true)).toBe('11-20 03:05:07.012');
    expect(formatDateTime(Number.NaN, 'utc')).toBe('–');
  });

  it('show on an axis what its ticks need', () => {
    expect(formatTick(ms, 'utc', 6e4)).toBe('03:05');
    expect(formatTick(ms, 'utc', 1e3)).toBe('03:05:07');
    expect(formatTick(ms, 'utc', 864e5)).toBe('11-20');
    expect(formatTick(Date.UTC(2026, 10, 20), 'utc', 36e5)).toBe('11-20');
  });

  it('name a range in words where it has them', () => {
    expect(formatRange('now-1h', 'now', null, 'utc')).toBe('Last 1 hour');
    expect(formatRange('now-7d', 'now', null, 'utc')).toBe('Last 7 days');
    expect(formatRange('now-1d/d', 'now/d', null, 'utc')).toBe('now-1d/d → now/d');
    expect(formatRange('1', '2', { fromMs: ms, toMs: ms + 6e4 }, 'utc')).toBe('2026-11-20 03:05:07 → 03:06:07');
  });
});

describe('spans of time', () => {
  it('keep their two largest units', () => {
    expect(formatSpan(0.42)).toBe('0.4s');
    expect(formatSpan(125)).toBe('2m 5s');
    expect(formatSpan(3600)).toBe('1h');
    expect(formatSpan(273_600)).toBe('3d 4h');
    expect(formatSpan(86_405)).toBe('1d');
  });

  it('read from microseconds with three digits', () => {
    expect(formatDurationUs(812)).toBe('812µs');
    expect(formatDurationUs(1240)).toBe('1.24ms');
    expect(formatDurationUs(99_200)).toBe('99.2ms');
    expect(formatDurationUs(3_500_000)).toBe('3.5s');
    expect(formatDurationUs(125_000_000)).toBe('2m 5s');
  });
});
