/** An area of the heat map of durations: a part of the range and a part of the durations, and the searches it stands for. */
import type { Heat, HeatColumn, Scale } from './heat';
import type { Range } from './time';
import { withStage } from './traceql';

export interface Area extends Range {
  /** Longer than `low`, up to `high`, as buckets have it. Nanoseconds; 0 and Infinity leave the side open. */
  lowNs: number;
  highNs: number;
}

const TEXT = /^(\d{10,15}),(\d{10,15}),(\d{0,16}),(\d{0,16})$/;

/** `from,to,low,high` in whole milliseconds and nanoseconds, an open side left empty. Null where it is none. */
export function parseArea(text: string | undefined): Area | null {
  const m = TEXT.exec(text ?? '');
  if (!m) return null;
  const [fromMs = 0, toMs = 0] = [Number(m[1]), Number(m[2])];
  const lowNs = m[3] ? Number(m[3]) : 0;
  const highNs = m[4] ? Number(m[4]) : Infinity;
  return fromMs < toMs && lowNs < highNs ? { fromMs, toMs, lowNs, highNs } : null;
}

export function areaText(area: Area): string {
  const [from, to] = [Math.round(area.fromMs), Math.round(area.toMs)];
  const low = area.lowNs > 0 ? String(Math.round(area.lowNs)) : '';
  const high = Number.isFinite(area.highNs) ? String(Math.round(area.highNs)) : '';
  return `${from},${to},${low},${high}`;
}

/** What spans of the area have in common; empty where only time bounds it. */
export function areaCondition({ lowNs, highNs }: Area): string {
  return [
    lowNs > 0 && `duration > ${Math.round(lowNs)}ns`,
    Number.isFinite(highNs) && `duration <= ${Math.round(highNs)}ns`,
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

/** A rectangle drawn over the map: seconds across, heights of its scale upwards. */
export interface Drawn {
  fromS: number;
  toS: number;
  lowAt: number;
  highAt: number;
}

/** The area of whole steps and buckets that a rectangle touches: what is counted in cells is chosen by cells. */
export function areaOf(heat: Heat, scale: Scale, drawn: Drawn, stepSeconds: number): Area | null {
  const columns = heat.columns.map((one) => one.time);
  const first = columns[0];
  if (first === undefined) return null;
  // Columns stand on multiples of the step, also where one between them is empty.
  const edge = (seconds: number, up: boolean) => {
    const steps = (seconds - first) / stepSeconds;
    return first + (up ? Math.ceil(steps) : Math.floor(steps)) * stepSeconds;
  };
  const bounds = [...new Set(heat.columns.flatMap((one) => one.cells.flatMap((cell) => [cell.low, cell.high])))];
  bounds.sort((a, b) => a - b);
  const below = bounds.filter((value) => scale.at(value) <= drawn.lowAt + NEAR);
  const above = bounds.find((value) => scale.at(value) >= drawn.highAt - NEAR);
  const isOpenBelow = drawn.lowAt <= NEAR;
  const isOpenAbove = drawn.highAt >= 1 - NEAR || above === undefined;
  return {
    fromMs: edge(drawn.fromS, false) * 1e3,
    toMs: Math.max(edge(drawn.toS, true), edge(drawn.fromS, false) + stepSeconds) * 1e3,
    lowNs: isOpenBelow ? 0 : (below[below.length - 1] ?? 0) * 1e9,
    highNs: isOpenAbove ? Infinity : above * 1e9,
  };
}

/** A height this close to a bound is at it. */
const NEAR = 1e-6;

/** The area of one cell of a column. */
export function areaOfCell(column: HeatColumn, cell: number, stepSeconds: number): Area | null {
  const found = column.cells[cell];
  if (!found) return null;
  return {
    fromMs: (column.time - stepSeconds) * 1e3,
    toMs: column.time * 1e3,
    lowNs: Math.max(0, found.low) * 1e9,
    highNs: found.high * 1e9,
  };
}

/** The smallest area that holds both. */
export function joinAreas(a: Area, b: Area): Area {
  return {
    fromMs: Math.min(a.fromMs, b.fromMs),
    toMs: Math.max(a.toMs, b.toMs),
    lowNs: Math.min(a.lowNs, b.lowNs),
    highNs: Math.max(a.highNs, b.highNs),
  };
}

/** What the cells inside an area count. */
export function countInArea(heat: Heat, area: Area, stepSeconds: number): number {
  let count = 0;
  for (const column of heat.columns) {
    if (column.time * 1e3 > area.toMs || (column.time - stepSeconds) * 1e3 < area.fromMs) continue;
    for (const cell of column.cells) {
      if (cell.low * 1e9 >= area.lowNs - 1 && cell.high * 1e9 <= area.highNs + 1) count += cell.count;
    }
  }
  return count;
}
