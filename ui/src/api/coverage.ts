/** What part of an answer is missing, as every JSON answer of a node says it, and how several answers combine. */

export type CoverageState = 'complete' | 'partial' | 'late' | 'missing';

export interface Coverage {
  cluster: string;
  replica: string;
  signal: string;
  state: CoverageState;
  /** Pairs of Unix seconds, half open. */
  covered: [number | null, number | null][];
  /** Unix seconds: everything up to here is in the answer. */
  watermark: number | null;
  reason: string;
}

const WORST: readonly CoverageState[] = ['complete', 'late', 'partial', 'missing'];

export function worstState(rows: readonly Coverage[]): CoverageState | 'unknown' {
  if (rows.length === 0) return 'unknown';
  return rows.reduce<CoverageState>((worst, row) => worse(worst, row.state), 'complete');
}

function worse(a: CoverageState, b: CoverageState): CoverageState {
  return WORST.indexOf(a) >= WORST.indexOf(b) ? a : b;
}

/**
 * One row per cluster, replica and signal with the worst state any answer on the page reported: a page that
 * shows five charts is only as complete as its least complete one.
 */
export function mergeCoverage(answers: readonly (readonly Coverage[])[]): Coverage[] {
  const rows = new Map<string, Coverage>();
  for (const row of answers.flat()) {
    const key = `${row.cluster}\u0000${row.replica}\u0000${row.signal}`;
    const seen = rows.get(key);
    if (!seen || worse(seen.state, row.state) !== seen.state) rows.set(key, row);
  }
  return [...rows.values()].sort((a, b) => name(a).localeCompare(name(b)) || a.signal.localeCompare(b.signal));
}

function name(row: Coverage): string {
  return row.replica ? `${row.cluster}/${row.replica}` : row.cluster;
}

export { name as coverageName };

/** A state nobody knows counts as partial, never as fine. */
export function readCoverageState(value: unknown): CoverageState {
  return WORST.find((state) => state === value) ?? 'partial';
}

/** Reads the `coverage` field of any answer; rows of an unknown shape count as partial rather than as fine. */
export function readCoverage(body: unknown): Coverage[] {
  if (typeof body !== 'object' || body === null) return [];
  const rows = (body as { coverage?: unknown }).coverage;
  if (!Array.isArray(rows)) return [];
  return rows.map((row: Partial<Coverage> | null) => ({
    cluster: row?.cluster || 'local',
    replica: row?.replica ?? '',
    signal: row?.signal ?? '',
    state: readCoverageState(row?.state),
    covered: Array.isArray(row?.covered) ? row.covered : [],
    watermark: typeof row?.watermark === 'number' ? row.watermark : null,
    reason: row?.reason ?? '',
  }));
}
