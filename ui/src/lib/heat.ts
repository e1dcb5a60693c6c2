/**
 * Histograms over time as columns of cells: from native histograms, or from classic `_bucket` series told apart by `le`.
 * Cells keep their own bounds, so columns of different resolution stand side by side as they were counted.
 */
import type { HistogramBucket, Series } from '../api/prom';

export interface HeatColumn {
  /** Seconds. */
  time: number;
  /** Ascending; bounds may be infinite. */
  cells: HistogramBucket[];
  count: number;
}

export interface Heat {
  kind: 'native' | 'classic';
  columns: HeatColumn[];
  /** The highest count of a cell. */
  most: number;
  /** Series that were added up. */
  series: number;
}

export function hasNative(series: readonly Series[]): boolean {
  return series.some((one) => one.histograms !== undefined);
}

/** Whether every series is a bucket of a classic histogram. */
export function isClassic(series: readonly Series[]): boolean {
  return series.length > 1 && series.every((one) => one.labels.le !== undefined && !Number.isNaN(bound(one.labels.le)));
}

export function toHeat(series: readonly Series[]): Heat | null {
  if (hasNative(series)) return fromNative(series);
  return isClassic(series) ? fromClassic(series) : null;
}

function fromNative(series: readonly Series[]): Heat {
  const byTime = new Map<number, Map<string, HistogramBucket>>();
  for (const point of series.flatMap((one) => one.histograms ?? [])) {
    const cells = byTime.get(point.time) ?? new Map<string, HistogramBucket>();
    byTime.set(point.time, cells);
    for (const bucket of point.buckets) {
      const key = `${bucket.low} ${bucket.high}`;
      const seen = cells.get(key);
      cells.set(key, seen ? { ...seen, count: seen.count + bucket.count } : bucket);
    }
  }
  const columns = [...byTime].map(([time, cells]) => column(time, [...cells.values()]));
  return finish('native', columns, series.filter((one) => one.histograms !== undefined).length);
}

/** A classic bucket counts everything up to its bound: what it holds itself is the difference to the one below. */
function fromClassic(series: readonly Series[]): Heat {
  const bounds = [...new Set(series.map((one) => bound(one.labels.le ?? '')))].sort((a, b) => a - b);
  const byTime = new Map<number, Map<number, number>>();
  for (const one of series) {
    const le = bound(one.labels.le ?? '');
    one.times.forEach((time, i) => {
      const value = one.values[i];
      if (value === undefined || !Number.isFinite(value)) return;
      const upTo = byTime.get(time) ?? new Map<number, number>();
      byTime.set(time, upTo);
      upTo.set(le, (upTo.get(le) ?? 0) + value);
    });
  }
  const columns = [...byTime].map(([time, upTo]) => {
    let below = 0;
    // As `histogram_quantile` has it: the first bucket begins at zero unless it ends below.
    let low = (bounds[0] ?? 0) > 0 ? 0 : -Infinity;
    const cells = bounds.flatMap((high) => {
      const total = upTo.get(high) ?? below;
      // Buckets scraped a moment apart can count down; a cell cannot hold less than nothing.
      const cell = { low, high, bounds: 0, count: Math.max(0, total - below) };
      below = Math.max(below, total);
      low = high;
      return cell.count > 0 ? [cell] : [];
    });
    return column(time, cells);
  });
  const groups = new Set(series.map((one) => JSON.stringify({ ...one.labels, le: '' })));
  return finish('classic', columns, groups.size);
}

function bound(le: string): number {
  return le === '+Inf' || le === 'Inf' ? Infinity : le === '-Inf' ? -Infinity : Number(le === '' ? NaN : le);
}

function column(time: number, cells: HistogramBucket[]): HeatColumn {
  const sorted = cells.filter((one) => one.count > 0).sort((a, b) => a.low - b.low || a.high - b.high);
  return { time, cells: sorted, count: sorted.reduce((sum, one) => sum + one.count, 0) };
}

function finish(kind: Heat['kind'], columns: HeatColumn[], series: number): Heat {
  const most = columns.reduce((top, one) => one.cells.reduce((high, cell) => Math.max(high, cell.count), top), 0);
  return { kind, columns: columns.sort((a, b) => a.time - b.time), most, series };
}

/** The value below which the share `q` of a column lies, as `histogram_quantile` interpolates it. */
export function quantileOf(one: HeatColumn, q: number, kind: Heat['kind']): number | null {
  if (one.count <= 0) return null;
  const rank = q * one.count;
  let below = 0;
  for (const cell of one.cells) {
    if (below + cell.count < rank) {
      below += cell.count;
      continue;
    }
    const share = (rank - below) / cell.count;
    if (cell.high === Infinity) return Number.isFinite(cell.low) ? cell.low : null;
    if (cell.low === -Infinity) return cell.high;
    if (kind === 'native' && cell.low > 0) return cell.low * (cell.high / cell.low) ** share;
    if (kind === 'native' && cell.high < 0) return cell.low * (cell.high / cell.low) ** share;
    return cell.low + (cell.high - cell.low) * share;
  }
  return one.cells[one.cells.length - 1]?.high ?? null;
}

/** Places values on the height of the chart: 0 at the bottom, 1 at the top. */
export interface Scale {
  kind: 'log' | 'linear';
  at: (value: number) => number;
  ticks: { value: number; at: number }[];
}

/** Share of the height that a band without finite width gets: what is past the last bound, and what is around zero. */
const BAND = 0.07;

export function makeScale(heat: Heat, kind: Scale['kind']): Scale {
  const cells = heat.columns.flatMap((one) => one.cells);
  const bounds = cells.flatMap((cell) => [cell.low, cell.high]);
  const finite = bounds.filter(Number.isFinite);
  const top = bounds.includes(Infinity) ? 1 - BAND : 1;
  if (kind === 'linear') return linearScale(finite, top, bounds);
  // The bucket around zero ends wherever its sender put the threshold, often at 1e-39: its bounds are no decade to draw.
  const apart = cells.filter((cell) => cell.low >= 0 || cell.high <= 0).flatMap((cell) => [cell.low, cell.high]);
  const logged = apart.filter(Number.isFinite);
  return logScale(logged.length > 0 ? logged : finite, top, bounds.includes(-Infinity), apart.length < bounds.length);
}

function extent(values: readonly number[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function linearScale(finite: readonly number[], top: number, bounds: readonly number[]): Scale {
  const [low, high] = finite.length > 0 ? extent(finite) : [0, 1];
  const bottom = bounds.includes(-Infinity) ? BAND : 0;
  const width = high - low || 1;
  const at = (value: number) =>
    value === Infinity ? 1 : value === -Infinity ? 0 : bottom + ((value - low) / width) * (top - bottom);
  const step = niceNumber(width / 5);
  const ticks: Scale['ticks'] = [];
  for (let value = Math.ceil(low / step) * step; value <= high && ticks.length < 20; value += step) {
    // Sums of a decimal step drift: what is nearly zero is zero.
    const exact = Math.abs(value) < step / 1e6 ? 0 : value;
    ticks.push({ value: exact, at: at(exact) });
  }
  return { kind: 'linear', at, ticks };
}

function niceNumber(wanted: number): number {
  const power = 10 ** Math.floor(Math.log10(wanted));
  return ([1, 2, 5, 10].find((m) => m * power >= wanted) ?? 10) * power;
}

/**
 * Decades upwards for what is above zero and, mirrored, downwards for what is below; between them one band for what no
 * logarithm reaches. Each side gets height by the decades it spans.
 */
function logScale(finite: readonly number[], top: number, endless: boolean, aroundZero: boolean): Scale {
  const [low, high] = finite.length > 0 ? extent(finite) : [0, 1];
  const positive = side(finite.filter((value) => value > 0));
  const negative = side(finite.filter((value) => value < 0).map((value) => -value));
  const touchesZero = low <= 0 || endless || aroundZero;
  const hasBelow = low < 0 && negative.low !== positive.low && negative.high > 0 && -low > positive.low;
  const bottom = endless && hasBelow ? BAND : 0;
  const zero = touchesZero ? BAND : 0;
  const decades = (one: Side) => Math.log10(one.high / one.low);
  const upDecades = high > 0 ? Math.max(decades(positive), 0.1) : 0;
  const downDecades = hasBelow ? Math.max(decades(negative), 0.1) : 0;
  const room = (top - bottom - zero) / (upDecades + downDecades || 1);
  const zeroFrom = bottom + downDecades * room;
  const zeroTo = zeroFrom + zero;
  const at = (value: number): number => {
    if (value === Infinity) return 1;
    if (value === -Infinity) return 0;
    if (value > 0 && value >= positive.low) return zeroTo + Math.log10(value / positive.low) * room;
    if (hasBelow && value <= -negative.low) return zeroFrom - Math.log10(-value / negative.low) * room;
    return value > 0 ? zeroTo : zeroFrom;
  };
  const values = high > 0 ? powers(positive, upDecades) : [];
  if (hasBelow) values.push(...powers(negative, downDecades).map((value) => -value));
  if (touchesZero) values.push(0);
  return { kind: 'log', at, ticks: values.map((value) => ({ value, at: at(value) })).sort((a, b) => a.at - b.at) };
}

interface Side {
  low: number;
  high: number;
}

function side(values: readonly number[]): Side {
  const [low, high] = extent(values);
  return Number.isFinite(low) ? { low, high: Math.max(high, low * 1.0001) } : { low: 1, high: 1 };
}

/** Powers of ten, with others between them where there are few. */
function powers({ low, high }: Side, decades: number): number[] {
  const steps = decades < 1.2 ? [1, 2, 3, 5, 7] : decades < 2.5 ? [1, 2, 5] : decades < 5 ? [1, 3] : [1];
  const out: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const m of steps) {
      const value = Number(`${m}e${power}`);
      if (value >= low && value <= high) out.push(value);
    }
  }
  const every = Math.ceil(out.length / 12);
  return out.filter((_, i) => i % every === 0);
}

/** How strong a cell is drawn, 0 to 1: a square root, so that rare slow requests stay visible beside the many fast ones. */
export function strength(count: number, most: number): number {
  return most > 0 ? Math.sqrt(Math.min(1, count / most)) : 0;
}

/** `(0.1, 0.25]` with the bounds as `format` writes them. */
export function boundsText(cell: HistogramBucket, format: (value: number) => string): string {
  const open = cell.bounds === 1 || cell.bounds === 3 ? '[' : '(';
  const close = cell.bounds === 0 || cell.bounds === 3 ? ']' : ')';
  return `${open}${format(cell.low)}, ${format(cell.high)}${cell.high === Infinity ? ')' : close}`;
}
