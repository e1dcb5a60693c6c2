/** Numbers with their unit, and a guess at the unit of an expression from the naming rules of metrics. */
import { formatSpan } from './timeformat';

export type Unit = 'short' | 'bytes' | 'bytesps' | 'seconds' | 'ratio' | 'ps';

const IEC = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const SI = ['', 'k', 'M', 'G', 'T', 'P'];

export function formatValue(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (value < 0) return `-${formatValue(-value, unit)}`;
  switch (unit) {
    case 'bytes':
      return scale(value, 1024, IEC);
    case 'bytesps':
      return `${scale(value, 1024, IEC)}/s`;
    case 'seconds':
      return formatSeconds(value);
    case 'ratio':
      return `${digits(value * 100)} %`;
    case 'ps':
      return `${scale(value, 1000, SI)}/s`;
    case 'short':
      return scale(value, 1000, SI);
  }
}

/** A share of what was counted, 0 to 1: as many digits as anybody compares. */
export function formatShare(share: number): string {
  if (!Number.isFinite(share)) return '–';
  const percent = share * 100;
  if (percent > 0 && percent < 0.01) return '<0.01 %';
  return `${percent.toFixed(percent >= 10 ? 1 : 2).replace(/\.?0+$/, '')} %`;
}

/** A whole number in full with thin groups: counts of lines, spans and series. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');
}

export function formatBytes(value: number): string {
  return formatValue(value, 'bytes');
}

function formatSeconds(value: number): string {
  if (value === 0) return '0 s';
  if (value < 1e-6) return `${digits(value * 1e9)} ns`;
  if (value < 1e-3) return `${digits(value * 1e6)} µs`;
  if (value < 1) return `${digits(value * 1e3)} ms`;
  if (value < 120) return `${digits(value)} s`;
  return formatSpan(value);
}

function scale(value: number, base: number, names: readonly string[]): string {
  let step = 0;
  let rest = value;
  // 999.95 would print as 1000 at this step: move up as soon as rounding would reach the base.
  while (step + 1 < names.length && rest >= base - 0.05) {
    rest /= base;
    step += 1;
  }
  const suffix = names[step] ?? '';
  return suffix === '' ? digits(rest) : `${digits(rest)} ${suffix}`;
}

/** Three to four significant digits, no trailing zeros; exponents only where nothing else is readable. */
function digits(value: number): string {
  if (value === 0) return '0';
  if (value < 1e-3) return value.toExponential(2).replace(/\.?0+e/, 'e');
  const places = value >= 100 ? 1 : value >= 10 ? 2 : value >= 1 ? 2 : 4;
  return value.toFixed(places).replace(/\.?0+$/, '');
}

const RATE = /\b(rate|irate|deriv)\s*\(/;
const NO_UNIT = /\b(count|count_values|absent|changes|resets|group)\s*(by|without)?\s*\(/;

/**
 * Read off the metric name in the expression, as Prometheus naming puts the unit last. Only a guess for the
 * axis: dividing two series loses the unit, so a quotient counts as a plain number or, over itself, a ratio.
 */
export function guessUnit(expr: string): Unit {
  if (NO_UNIT.test(expr)) return 'short';
  if (/[^/]\/[^/]/.test(expr.replace(/"[^"]*"/g, ''))) return /utilization|ratio|idle/.test(expr) ? 'ratio' : 'short';
  const rated = RATE.test(expr);
  if (/histogram_quantile/.test(expr))
    return /_seconds/.test(expr) ? 'seconds' : /_bytes/.test(expr) ? 'bytes' : 'short';
  if (/_bytes(_total|_sum)?\b/.test(expr)) return rated ? 'bytesps' : 'bytes';
  if (/_(ratio|utilization)\b/.test(expr)) return 'ratio';
  // A rate of seconds is seconds per second: a share of one core or one device.
  if (/_seconds(_total|_sum)?\b/.test(expr)) return rated ? 'short' : 'seconds';
  return rated ? 'ps' : 'short';
}
