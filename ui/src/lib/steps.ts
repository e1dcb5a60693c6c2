/** Which distance between two points a chart asks for. */

const NICE_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
] as const;

/** The smallest round step, in seconds, that draws the range with at most `points` points. */
export function niceStep(rangeMs: number, points: number, minSeconds = 1): number {
  const wanted = rangeMs / 1e3 / Math.max(points, 1);
  for (const step of NICE_S) if (step >= wanted && step >= minSeconds) return step;
  return Math.ceil(wanted / 604800) * 604800;
}

/** `90` → `1m30s`: durations as PromQL and LogQL write them. */
export function promDuration(seconds: number): string {
  let rest = Math.max(1, Math.round(seconds));
  let out = '';
  for (const [name, size] of [
    ['d', 86400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(rest / size);
    if (count > 0) out += `${count}${name}`;
    rest -= count * size;
  }
  return out;
}
