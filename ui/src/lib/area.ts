/** An area of the heat map of durations: a part of the range and a part of the durations, and the searches it stands for. */
import type { Range } from './time';
import { withStage } from './traceql';

export interface Area extends Range {
  /** Microseconds; 0 and Infinity leave the side open. */
  lowUs: number;
  highUs: number;
}

const TEXT = /^(\d{10,15}),(\d{10,15}),(\d{0,15}),(\d{0,15})$/;

/** `from,to,low,high` in whole milliseconds and microseconds, an open side left empty. Null where it is none. */
export function parseArea(text: string | undefined): Area | null {
  const m = TEXT.exec(text ?? '');
  if (!m) return null;
  const [fromMs = 0, toMs = 0] = [Number(m[1]), Number(m[2])];
  const lowUs = m[3] ? Number(m[3]) : 0;
  const highUs = m[4] ? Number(m[4]) : Infinity;
  return fromMs < toMs && lowUs < highUs ? { fromMs, toMs, lowUs, highUs } : null;
}

export function areaText(area: Area): string {
  const [from, to] = [Math.round(area.fromMs), Math.round(area.toMs)];
  const low = area.lowUs > 0 ? String(Math.round(area.lowUs)) : '';
  const high = Number.isFinite(area.highUs) ? String(Math.round(area.highUs)) : '';
  return `${from},${to},${low},${high}`;
}

/** What spans of the area have in common; empty where only time bounds it. */
export function areaCondition({ lowUs, highUs }: Area): string {
  return [
    lowUs > 0 && `duration >= ${Math.round(lowUs)}us`,
    Number.isFinite(highUs) && `duration < ${Math.round(highUs)}us`,
  ]
    .filter(Boolean)
    .join(' && ');
}

/** The search narrowed to the durations of the area; its time is asked for apart. */
export function areaQuery(query: string, area: Area): string {
  const condition = areaCondition(area);
  return condition === '' ? query : withStage(query, `{ ${condition} }`);
}

/** Attributes listed by the node, values each. */
const TOP = 10;

/** Spans of the area against the others of the range. */
export function compareStage(area: Area): string {
  const [from, to] = [area.fromMs, area.toMs].map((ms) => `${Math.round(ms)}000000`);
  return `compare({ ${areaCondition(area)} }, ${TOP}, ${from}, ${to})`;
}
