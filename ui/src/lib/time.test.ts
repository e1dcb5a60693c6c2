import { describe, expect, it } from 'vitest';
import { isRelative, parseTime, resolveRange, shift, zoomOut } from './time';

const now = Date.UTC(2026, 10, 20, 23, 50, 7, 250);
const at = (text: string, end: 'from' | 'to' = 'from') => {
  const ms = parseTime(text, now, end, 'utc');
  return ms === null ? null : new Date(ms).toISOString();
};

describe('the time grammar', () => {
  it('reads now and offsets from it in every unit', () => {
    expect(at('now')).toBe('2026-11-20T23:50:07.250Z');
    expect(at('now-90s')).toBe('2026-11-20T23:48:37.250Z');
    expect(at('now-15m')).toBe('2026-11-20T23:35:07.250Z');
    expect(at('now+2h')).toBe('2026-11-21T01:50:07.250Z');
    expect(at('now-1d')).toBe('2026-11-19T23:50:07.250Z');
    expect(at('now-1w')).toBe('2026-11-13T23:50:07.250Z');
    expect(at('now-1Q')).toBe('2026-08-20T23:50:07.250Z');
    expect(at('now-2y')).toBe('2024-11-20T23:50:07.250Z');
  });

  it('rounds down at the start of a range and up at its end', () => {
    expect(at('now/d', 'from')).toBe('2026-11-20T00:00:00.000Z');
    expect(at('now/d', 'to')).toBe('2026-11-20T23:59:59.999Z');
    expect(at('now-1d/d', 'from')).toBe('2026-11-19T00:00:00.000Z');
    expect(at('now-1M/M', 'to')).toBe('2026-10-31T23:59:59.999Z');
    expect(at('now/w', 'from')).toBe('2026-11-16T00:00:00.000Z');
    expect(at('now/Q', 'from')).toBe('2026-10-01T00:00:00.000Z');
    expect(at('now/y', 'to')).toBe('2026-12-31T23:59:59.999Z');
  });

  it('keeps a day of the month that the target month does not have inside that month', () => {
    const march31 = Date.UTC(2026, 2, 31, 12);
    expect(new Date(parseTime('now-1M', march31, 'from', 'utc') ?? 0).toISOString()).toBe('2026-02-28T12:00:00.000Z');
  });

  it('reads calendar times with and without a zone', () => {
    expect(at('2026-01-31')).toBe('2026-01-31T00:00:00.000Z');
    expect(at('2026-01-31 08:15')).toBe('2026-01-31T08:15:00.000Z');
    expect(at('2026-01-31T08:15:59.5Z')).toBe('2026-01-31T08:15:59.500Z');
    expect(at('2026-01-31T08:15:00+02:00')).toBe('2026-01-31T06:15:00.000Z');
  });

  it('tells seconds, milliseconds, microseconds and nanoseconds apart by size', () => {
    for (const epoch of ['1795218607', '1795218607000', '1795218607000000', '1795218607000000000']) {
      expect(at(epoch)).toBe('2026-11-20T23:50:07.000Z');
    }
  });

  it('refuses what is not in the grammar', () => {
    for (const text of [
      '',
      'yesterday',
      'now-',
      'now-1',
      'now-1x',
      'now-1h/',
      '2026-13-01',
      '2026-02-30',
      '2026-01-01 25:00',
      '12',
      'now-1h; drop',
    ]) {
      expect(parseTime(text, now, 'from', 'utc'), text).toBeNull();
    }
  });

  it('knows relative from absolute', () => {
    expect(isRelative('now-1h/h')).toBe(true);
    expect(isRelative('1795218607000')).toBe(false);
  });
});

describe('ranges', () => {
  it('must not be empty or reversed', () => {
    expect(resolveRange('now-1h', 'now', now, 'utc')).toEqual({ fromMs: now - 36e5, toMs: now });
    expect(resolveRange('now', 'now-1h', now, 'utc')).toBeNull();
    expect(resolveRange('now', 'now', now, 'utc')).toBeNull();
    expect(resolveRange('soon', 'now', now, 'utc')).toBeNull();
  });

  it('zoom out to twice the width without showing the future', () => {
    expect(zoomOut({ fromMs: now - 200, toMs: now - 100 }, now)).toEqual({ fromMs: now - 250, toMs: now - 50 });
    expect(zoomOut({ fromMs: now - 100, toMs: now }, now)).toEqual({ fromMs: now - 200, toMs: now });
  });

  it('shift by half a width', () => {
    expect(shift({ fromMs: 0, toMs: 100 }, -1)).toEqual({ fromMs: -50, toMs: 50 });
    expect(shift({ fromMs: 0, toMs: 100 }, 1)).toEqual({ fromMs: 50, toMs: 150 });
  });
});
