import { describe, expect, it } from 'vitest';
import { formatCount, formatValue, guessUnit, formatShare } from './units';

describe('numbers with units', () => {
  it('scale bytes by 1024 and counts by 1000', () => {
    expect(formatValue(1536, 'bytes')).toBe('1.5 KiB');
    expect(formatValue(1_500_000, 'short')).toBe('1.5 M');
    expect(formatValue(14_250, 'ps')).toBe('14.25 k/s');
    expect(formatValue(3.2 * 2 ** 30, 'bytesps')).toBe('3.2 GiB/s');
  });

  it('never print a thousand of the smaller unit', () => {
    expect(formatValue(999.99, 'short')).toBe('1 k');
    expect(formatValue(1023.99, 'bytes')).toBe('1 KiB');
  });

  it('write seconds in the unit that suits them', () => {
    expect(formatValue(0.0123, 'seconds')).toBe('12.3 ms');
    expect(formatValue(0, 'seconds')).toBe('0 s');
    expect(formatValue(4000, 'seconds')).toBe('1h 6m');
  });

  it('survive what is not a plain number', () => {
    expect(formatValue(Number.NaN, 'bytes')).toBe('NaN');
    expect(formatValue(Infinity, 'short')).toBe('+Inf');
    expect(formatValue(-2048, 'bytes')).toBe('-2 KiB');
    expect(formatValue(0.5, 'ratio')).toBe('50 %');
  });

  it('group the digits of counts', () => {
    expect(formatCount(1_312)).toBe('1\u202f312');
    expect(formatCount(12)).toBe('12');
  });
});

describe('the unit of an expression', () => {
  it.each([
    ['system_memory_usage_bytes', 'bytes'],
    ['sum by (device) (rate(system_disk_io_bytes_total[1m]))', 'bytesps'],
    ['histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))', 'seconds'],
    ['rate(system_cpu_time_seconds_total[1m])', 'short'],
    ['process_uptime_seconds', 'seconds'],
    ['rate(http_requests_total[5m])', 'ps'],
    ['1 - avg(system_cpu_utilization_ratio{cpu_mode="idle"})', 'ratio'],
    ['count by (job) (up)', 'short'],
    ['node_filesystem_avail_bytes / node_filesystem_size_bytes', 'short'],
  ])('%s is in %s', (expr, unit) => {
    expect(guessUnit(expr)).toBe(unit);
  });
});

it('shares have as many digits as anybody compares', () => {
  expect([0, 0.00005, 0.009524, 0.0833, 0.5, 0.12345, 1].map(formatShare)).toEqual([
    '0 %',
    '<0.01 %',
    '0.95 %',
    '8.33 %',
    '50 %',
    '12.3 %',
    '100 %',
  ]);
});
