/** Diamonds on a line chart: one observation each. Those outside of the value axis stand at its edge. */
import type uPlot from 'uplot';
import { resolveColour } from './options';

export interface Mark {
  /** Seconds. */
  time: number;
  value: number;
  rows: readonly (readonly [string, string])[];
  /** What a click does; empty where it does nothing. */
  hint: string;
}

/** Half a diagonal, in CSS pixels, and how near the pointer must be to mean it. */
const SIZE = 4.5;
const NEAR = 9;

function place(plot: uPlot, mark: Mark, canvas: boolean): [number, number] {
  const x = plot.valToPos(mark.time, 'x', canvas);
  const { min = 0, max = 1 } = plot.scales.y ?? {};
  return [x, plot.valToPos(Math.min(Math.max(mark.value, min), max), 'y', canvas)];
}

export function markAt(plot: uPlot, marks: readonly Mark[]): number {
  const { left = -1, top = -1 } = plot.cursor;
  return left < 0 ? -1 : nearestMark(marks, left, top, (mark) => place(plot, mark, false));
}

/** The mark that a pointer at this place means, or -1. */
export function nearestMark(
  marks: readonly Mark[],
  left: number,
  top: number,
  placeOf: (mark: Mark) => [number, number],
): number {
  let best = -1;
  let distance = NEAR * NEAR;
  marks.forEach((mark, i) => {
    const [x, y] = placeOf(mark);
    const d = (x - left) ** 2 + (y - top) ** 2;
    if (d < distance) [best, distance] = [i, d];
  });
  return best;
}

export function paintMarks(plot: uPlot, marks: readonly Mark[], active: number): void {
  marks.forEach((mark, i) => {
    drawMark(plot.ctx, ...place(plot, mark, true), i === active, window.devicePixelRatio || 1);
  });
}

export function drawMark(c: CanvasRenderingContext2D, x: number, y: number, active: boolean, scale = 1): void {
  const size = (active ? SIZE + 2 : SIZE) * scale;
  c.save();
  c.lineWidth = 1.25 * scale;
  c.strokeStyle = resolveColour('var(--surface)');
  c.fillStyle = resolveColour(active ? 'var(--accent)' : 'var(--mark-point)');
  c.beginPath();
  c.moveTo(x, y - size);
  c.lineTo(x + size, y);
  c.lineTo(x, y + size);
  c.lineTo(x - size, y);
  c.closePath();
  c.fill();
  c.stroke();
  c.restore();
}
