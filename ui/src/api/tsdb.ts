/** What the store says about its series: `/api/v1/status/tsdb`, as Prometheus answers it. */
import { type Answer, ApiError, type Ask, getJson } from './http';

export interface Counted {
  name: string;
  count: number;
}

export interface TsdbStatus {
  series: number;
  labelPairs: number;
  chunks: number;
  /** Milliseconds since the epoch; null before the first sample. */
  minTimeMs: number | null;
  maxTimeMs: number | null;
  seriesByMetric: Counted[];
  valuesByLabel: Counted[];
  bytesByLabel: Counted[];
  /** `name=value`. */
  seriesByPair: Counted[];
}

interface WireStat {
  name: string;
  value: number;
}

interface Wire {
  headStats?: { numSeries?: number; numLabelPairs?: number; chunkCount?: number; minTime?: number; maxTime?: number };
  seriesCountByMetricName?: WireStat[];
  labelValueCountByLabelName?: WireStat[];
  memoryInBytesByLabelName?: WireStat[];
  seriesCountByLabelValuePair?: WireStat[];
}

/** The longest lists a server grants, as in Prometheus. */
export const MOST_LISTED = 10_000;

/** Null where the node has no such page: what it would say is then counted from series. */
export async function tsdbStatus(limit: number, ask: Omit<Ask, 'params'>): Promise<Answer<TsdbStatus | null>> {
  try {
    const answer = await getJson<{ data: Wire }>('/api/v1/status/tsdb', { ...ask, params: { limit } });
    return { ...answer, data: shapeStatus(answer.data.data) };
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    return { data: null, coverage: [], warnings: [], infos: [], elapsedMs: 0 };
  }
}

export function shapeStatus(wire: Wire): TsdbStatus {
  const list = (stats: WireStat[] | undefined) => (stats ?? []).map(({ name, value }) => ({ name, count: value }));
  const head = wire.headStats ?? {};
  // An empty head says the largest and the smallest time there is.
  const time = (ms: number | undefined) => (ms === undefined || Math.abs(ms) > 8.64e15 ? null : ms);
  return {
    series: head.numSeries ?? 0,
    labelPairs: head.numLabelPairs ?? 0,
    chunks: head.chunkCount ?? 0,
    minTimeMs: time(head.minTime),
    maxTimeMs: time(head.maxTime),
    seriesByMetric: list(wire.seriesCountByMetricName),
    valuesByLabel: list(wire.labelValueCountByLabelName),
    bytesByLabel: list(wire.memoryInBytesByLabelName),
    seriesByPair: list(wire.seriesCountByLabelValuePair),
  };
}
