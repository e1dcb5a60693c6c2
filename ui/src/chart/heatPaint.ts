/** Draws a heat map on a canvas: cells, value axis, time axis, percentile lines, cursor. */
import { type Heat, quantileOf, type Scale, strength } from '../lib/heat';
import type { Gap } from '../lib/gaps';
import { niceStep } from '../lib/steps';
import type { Range, Zone } from '../lib/time';
import { formatTick } from '../lib/timeformat';
import { type Band, bandsOf, paintHatch } from './hatch';
import { drawMark, type Mark } from './marks';
import { resolveColour } from './options';
import type { Surface } from './useCanvas';

export interface Place {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export interface Picture {
  heat: Heat;
  scale: Scale;
  range: Range;
  zone: Zone;
  stepSeconds: number;
  format: (value: number) => string;
  /** Percentiles drawn over the cells, 0 to 1. */
  lines: readonly number[];
  cursor: { column: number; cell: number } | null;
  drag: { from: number; to: number } | null;
  marks: readonly Mark[];
  /** The mark under the pointer, or -1. */
  mark: number;
  /** What the answer lacks. */
  gaps: readonly Gap[];
}

const FONT = '11px system-ui, "DejaVu Sans", sans-serif';
/** Colours of the ramp in styles/tokens.css. */
const STOPS = 5;
const STRIP_PX = 10;

/** The same edges as the line chart, so that time lines up between the two. */
export function placeOf(width: number, height: number): Place {
  return { left: 58, right: Math.max(60, width - 10), top: 8, bottom: height - 26 };
}

export function xOf(place: Place, range: Range, seconds: number): number {
  return place.left + ((seconds * 1e3 - range.fromMs) / (range.toMs - range.fromMs)) * (place.right - place.left);
}

export function timeAt(place: Place, range: Range, x: number): number {
  return range.fromMs + ((x - place.left) / (place.right - place.left)) * (range.toMs - range.fromMs);
}

export function yOf(place: Place, at: number): number {
  return place.bottom - at * (place.bottom - place.top);
}

export function paintHeat({ context: c, width, height }: Surface, picture: Picture): void {
  const place = placeOf(width, height);
  c.font = FONT;
  axes(c, place, picture);
  c.save();
  c.beginPath();
  c.rect(place.left, place.top, place.right - place.left, place.bottom - place.top);
  c.clip();
  const bands = bandsOf(picture.gaps, picture.range, (ms) => xOf(place, picture.range, ms / 1e3));
  paintHatch(c, bands, place.top, place.bottom);
  cells(c, place, picture);
  gapStrip(c, place, bands);
  for (const q of picture.lines) percentile(c, place, picture, q);
  cursor(c, place, picture);
  picture.marks.forEach((mark, i) => drawMark(c, ...markPlace(place, picture, mark), i === picture.mark));
  c.restore();
  if (picture.drag) {
    c.fillStyle = resolveColour('var(--chart-select)');
    const { from, to } = picture.drag;
    c.fillRect(Math.min(from, to), place.top, Math.abs(to - from), place.bottom - place.top);
  }
}

/** Cells cover the hatch where others still sent something: a strip along the upper edge is never covered. */
function gapStrip(c: CanvasRenderingContext2D, place: Place, bands: readonly Band[]): void {
  c.fillStyle = resolveColour('var(--surface)');
  for (const band of bands) c.fillRect(band.left, place.top, band.right - band.left, STRIP_PX);
  paintHatch(c, bands, place.top, place.top + STRIP_PX);
}

export function markPlace(
  place: Place,
  { scale, range }: Pick<Picture, 'scale' | 'range'>,
  mark: Mark,
): [number, number] {
  return [xOf(place, range, mark.time), yOf(place, Math.min(1, Math.max(0, scale.at(mark.value))))];
}

/** A column stands for the step that ends at its time. */
function columnBox(place: Place, picture: Picture, column: number): { x: number; width: number } {
  const time = picture.heat.columns[column]?.time ?? 0;
  const x = xOf(place, picture.range, time - picture.stepSeconds);
  return { x, width: xOf(place, picture.range, time) - x };
}

function cells(c: CanvasRenderingContext2D, place: Place, picture: Picture): void {
  const ramp = colours();
  picture.heat.columns.forEach((column, i) => {
    const box = columnBox(place, picture, i);
    // Whole pixels, or neighbours would show a seam.
    const [from, to] = [Math.round(box.x), Math.round(box.x + box.width)];
    const gap = to - from > 6 ? 1 : 0;
    for (const cell of column.cells) {
      const top = Math.round(yOf(place, picture.scale.at(cell.high)));
      const bottom = Math.round(yOf(place, picture.scale.at(cell.low)));
      const tall = Math.max(1, bottom - top);
      c.fillStyle = ramp(strength(cell.count, picture.heat.most));
      c.fillRect(from, top, Math.max(1, to - from - gap), Math.max(1, tall - (tall > 5 ? 1 : 0)));
    }
  });
}

/** From the faintest to the strongest of the ramp, in 64 shades. */
export function colours(): (share: number) => string {
  const stops = Array.from({ length: STOPS }, (_, i) => rgb(resolveColour(`var(--heat-${i})`)));
  const shades = Array.from({ length: 64 }, (_, i) => {
    const at = (i / 63) * (STOPS - 1);
    const low = stops[Math.floor(at)] ?? [0, 0, 0];
    const high = stops[Math.min(STOPS - 1, Math.floor(at) + 1)] ?? low;
    const mix = low.map((part, k) => Math.round(part + ((high[k] ?? part) - part) * (at % 1)));
    return `rgb(${mix.join(' ')})`;
  });
  return (share) => shades[Math.round(Math.min(1, Math.max(0, share)) * 63)] ?? '#888';
}

function rgb(hex: string): number[] {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) || 0);
}

function axes(c: CanvasRenderingContext2D, place: Place, { scale, range, zone, format }: Picture): void {
  c.strokeStyle = resolveColour('var(--chart-grid)');
  c.fillStyle = resolveColour('var(--fg-faint)');
  c.lineWidth = 1;
  c.textAlign = 'right';
  c.textBaseline = 'middle';
  let last = Infinity;
  for (const tick of scale.ticks) {
    const y = Math.round(yOf(place, tick.at)) + 0.5;
    line(c, place.left, y, place.right, y);
    // Labels need a line's height each; the grid stays.
    if (last - y < 13) continue;
    c.fillText(format(tick.value), place.left - 6, Math.min(Math.max(y, place.top + 6), place.bottom - 5));
    last = y;
  }
  c.textAlign = 'center';
  const tickMs = niceStep(range.toMs - range.fromMs, Math.max(2, Math.floor((place.right - place.left) / 90))) * 1e3;
  for (let t = Math.ceil(range.fromMs / tickMs) * tickMs; t <= range.toMs; t += tickMs) {
    const x = Math.round(xOf(place, range, t / 1e3)) + 0.5;
    line(c, x, place.top, x, place.bottom + 4);
    const half = c.measureText(formatTick(t, zone, tickMs)).width / 2;
    c.fillText(formatTick(t, zone, tickMs), Math.min(x, place.right + 8 - half), place.bottom + 15);
  }
}

function percentile(c: CanvasRenderingContext2D, place: Place, picture: Picture, q: number): void {
  const points: (readonly [number, number] | null)[] = picture.heat.columns.map((column, i) => {
    const value = quantileOf(column, q, picture.heat.kind);
    if (value === null) return null;
    const box = columnBox(place, picture, i);
    return [box.x + box.width / 2, yOf(place, picture.scale.at(value))] as const;
  });
  // A halo of the surface keeps the line apart from any shade below it.
  for (const [width, colour] of [
    [3.5, 'var(--surface)'],
    [1.5, 'var(--fg)'],
  ] as const) {
    c.strokeStyle = resolveColour(colour);
    c.lineWidth = width;
    c.setLineDash(q === 0.5 && width < 2 ? [4, 3] : []);
    c.beginPath();
    let open = false;
    for (const point of points) {
      if (!point) open = false;
      else if (open) c.lineTo(...point);
      else {
        c.moveTo(...point);
        open = true;
      }
    }
    c.stroke();
  }
  c.setLineDash([]);
  const end = points.filter((point) => point !== null).pop();
  if (!end) return;
  const text = `p${q * 100}`;
  c.textAlign = 'right';
  c.textBaseline = 'bottom';
  c.lineWidth = 3;
  c.strokeStyle = resolveColour('var(--surface)');
  c.strokeText(text, end[0] - 2, end[1] - 4);
  c.fillStyle = resolveColour('var(--fg)');
  c.fillText(text, end[0] - 2, end[1] - 4);
}

function cursor(c: CanvasRenderingContext2D, place: Place, picture: Picture): void {
  if (!picture.cursor) return;
  const column = picture.heat.columns[picture.cursor.column];
  const box = columnBox(place, picture, picture.cursor.column);
  c.strokeStyle = resolveColour('var(--fg-faint)');
  c.lineWidth = 1;
  line(c, Math.round(box.x + box.width / 2) + 0.5, place.top, Math.round(box.x + box.width / 2) + 0.5, place.bottom);
  const cell = column?.cells[picture.cursor.cell];
  if (!cell) return;
  const top = yOf(place, picture.scale.at(cell.high));
  const bottom = yOf(place, picture.scale.at(cell.low));
  c.strokeStyle = resolveColour('var(--fg)');
  c.lineWidth = 2;
  c.strokeRect(box.x, top, Math.max(3, box.width), Math.max(3, bottom - top));
}

function line(c: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  c.beginPath();
  c.moveTo(x1, y1);
  c.lineTo(x2, y2);
  c.stroke();
}
