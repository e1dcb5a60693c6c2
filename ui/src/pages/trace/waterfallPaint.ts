/** Painting the waterfall: only the rows in sight, so that fifty thousand spans cost what forty do. */
import { resolveColour } from '../../chart/ink';
import type { Surface } from '../../chart/useCanvas';
import { formatDurationUs } from '../../lib/timeformat';
import type { Section } from '../../lib/criticalpath';
import type { Span, Trace } from '../../lib/trace';
import { ticks, type Window } from '../../lib/zoom';

export const ROW_PX = 22;
export const RULER_PX = 22;
const INDENT_PX = 12;
const STRIPE_PX = 4;
/** Deeper spans keep this indent: past it the name would have no room left. */
const DEEPEST_INDENT = 16;

export interface Scene {
  trace: Trace;
  rows: readonly number[];
  window: Window;
  /** Where the bars begin, in pixels. */
  split: number;
  scrollTop: number;
  selected: number;
  hover: number;
  matches: ReadonlySet<number>;
  folded: (index: number) => boolean;
  /** The critical path, by span; absent where it is not drawn. */
  path: ReadonlyMap<number, readonly Section[]> | undefined;
  /** A colour expression for a span: of its service or of its cluster. */
  colour: (span: Span) => string;
  /** That of its cluster, as a stripe at the edge; absent where all spans ran in one. */
  stripe: ((span: Span) => string) | undefined;
}

export function arrowX(span: Span): number {
  return 6 + Math.min(span.depth, DEEPEST_INDENT) * INDENT_PX;
}

export function timeToX(us: number, scene: Pick<Scene, 'window' | 'split'>, width: number): number {
  return scene.split + ((us - scene.window.from) / (scene.window.to - scene.window.from)) * (width - scene.split - 12);
}

export function xToTime(x: number, scene: Pick<Scene, 'window' | 'split'>, width: number): number {
  return (
    scene.window.from +
    ((x - scene.split) / Math.max(1, width - scene.split - 12)) * (scene.window.to - scene.window.from)
  );
}

interface Inks {
  fg: string;
  soft: string;
  faint: string;
  line: string;
  hover: string;
  chosen: string;
  mark: string;
  bad: string;
  warn: string;
  hatch: string;
  surface: string;
}

function inks(): Inks {
  const at = (name: string) => resolveColour(`var(--${name})`);
  return {
    fg: at('fg'),
    soft: at('fg-soft'),
    faint: at('fg-faint'),
    line: at('chart-grid'),
    hover: at('hover'),
    chosen: at('accent-soft'),
    mark: at('mark'),
    bad: at('bad'),
    warn: at('warn'),
    hatch: at('hatch'),
    surface: at('surface'),
  };
}

export function paintWaterfall(surface: Surface, scene: Scene): void {
  const { context: c, width, height } = surface;
  const ink = inks();
  c.font = '12px system-ui, "DejaVu Sans", sans-serif';
  c.textBaseline = 'middle';
  const first = Math.max(0, Math.floor(scene.scrollTop / ROW_PX));
  const last = Math.min(scene.rows.length, Math.ceil((scene.scrollTop + height - RULER_PX) / ROW_PX) + 1);
  const palette = new Map<string, string>();
  const marks = ticks(scene.window, Math.max(2, Math.floor((width - scene.split) / 120)));
  for (let row = first; row < last; row += 1) {
    const index = scene.rows[row] ?? 0;
    const span = scene.trace.spans[index];
    if (!span) continue;
    const top = RULER_PX + row * ROW_PX - scene.scrollTop;
    const colour = inked(palette, scene.colour(span));
    paintBackground(c, scene, index, top, width, marks, ink);
    if (span.missing) paintAbsent(c, scene, span, top, width, ink);
    else paintBar(c, scene, span, index, top, width, colour, ink);
    paintName(c, scene, span, index, top, colour, ink);
    if (scene.stripe && !span.missing) {
      c.fillStyle = inked(palette, scene.stripe(span));
      c.fillRect(0, top, STRIPE_PX, ROW_PX);
    }
  }
  paintRuler(c, scene, width, height, marks, ink);
}

/** A style is asked for once per colour, not per span. */
function inked(palette: Map<string, string>, expression: string): string {
  let colour = palette.get(expression);
  if (colour === undefined) palette.set(expression, (colour = resolveColour(expression)));
  return colour;
}

function paintBackground(
  c: CanvasRenderingContext2D,
  scene: Scene,
  index: number,
  top: number,
  width: number,
  marks: readonly number[],
  ink: Inks,
): void {
  const tone = index === scene.selected ? ink.chosen : index === scene.hover ? ink.hover : '';
  if (tone) {
    c.fillStyle = tone;
    c.fillRect(0, top, width, ROW_PX);
  }
  if (scene.matches.has(index)) {
    c.fillStyle = ink.mark;
    c.fillRect(0, top, scene.split, ROW_PX);
  }
  c.fillStyle = ink.line;
  for (const at of marks) c.fillRect(Math.round(timeToX(at, scene, width)), top, 1, ROW_PX);
}

function paintName(
  c: CanvasRenderingContext2D,
  scene: Scene,
  span: Span,
  index: number,
  top: number,
  colour: string,
  ink: Inks,
): void {
  const middle = top + ROW_PX / 2;
  const x = arrowX(span);
  c.save();
  c.beginPath();
  c.rect(0, top, scene.split - 6, ROW_PX);
  c.clip();
  if (span.below > 0) {
    const folded = scene.folded(index);
    c.fillStyle = ink.soft;
    c.beginPath();
    if (folded) triangle(c, x, middle - 4, x, middle + 4, x + 6, middle);
    else triangle(c, x - 1, middle - 3, x + 7, middle - 3, x + 3, middle + 3);
    c.fill();
  }
  let at = x + 19;
  c.textAlign = 'left';
  if (span.missing) {
    const below = `${span.below} ${span.below === 1 ? 'span hangs' : 'spans hang'} below it`;
    c.fillStyle = ink.warn;
    c.font = 'italic 12px system-ui, "DejaVu Sans", sans-serif';
    c.fillText(`⚠ missing span ${span.id}: ${below}`, x + 11, middle);
    c.restore();
    return;
  }
  c.fillStyle = colour;
  c.fillRect(x + 11, top + 4, 3, ROW_PX - 8);
  if (span.error) {
    c.fillStyle = ink.bad;
    c.font = 'bold 12px system-ui, "DejaVu Sans", sans-serif';
    c.fillText('!', at, middle);
    at += 8;
  } else c.font = 'bold 12px system-ui, "DejaVu Sans", sans-serif';
  c.fillStyle = ink.fg;
  c.fillText(span.service, at, middle);
  at += c.measureText(span.service).width + 6;
  c.font = '12px system-ui, "DejaVu Sans", sans-serif';
  c.fillStyle = ink.soft;
  const hidden = scene.folded(index) ? `  (+${span.below})` : '';
  c.fillText(`${span.operation}${hidden}`, at, middle);
  c.restore();
}

function triangle(
  c: CanvasRenderingContext2D,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  x3: number,
  y3: number,
): void {
  c.moveTo(x1, y1);
  c.lineTo(x2, y2);
  c.lineTo(x3, y3);
  c.closePath();
}

/** What is known of a span that is not here: it lasted at least as long as what hangs below it. */
function paintAbsent(
  c: CanvasRenderingContext2D,
  scene: Scene,
  span: Span,
  top: number,
  width: number,
  ink: Inks,
): void {
  const [left, right] = edges(scene, span.startUs, span.durationUs, width);
  if (right <= left) return;
  c.save();
  c.beginPath();
  c.rect(left, top + 5, right - left, ROW_PX - 10);
  c.clip();
  c.strokeStyle = ink.hatch;
  c.lineWidth = 1;
  for (let x = left - (left % 6) - ROW_PX; x < right; x += 6) stroke(c, x, top + ROW_PX, x + ROW_PX, top);
  c.restore();
  c.strokeStyle = ink.hatch;
  c.setLineDash([4, 3]);
  c.strokeRect(left + 0.5, top + 5.5, Math.max(1, right - left - 1), ROW_PX - 11);
  c.setLineDash([]);
}

/** A stretch of time in pixels, cut to what the bars have of the width; at least two wide. */
function edges(scene: Scene, fromUs: number, longUs: number, width: number): [left: number, right: number] {
  const from = timeToX(fromUs, scene, width);
  const to = timeToX(fromUs + longUs, scene, width);
  return [Math.max(from, scene.split), Math.min(Math.max(to, from + 2), width)];
}

function paintBar(
  c: CanvasRenderingContext2D,
  scene: Scene,
  span: Span,
  index: number,
  top: number,
  width: number,
  colour: string,
  ink: Inks,
): void {
  const from = timeToX(span.startUs, scene, width);
  const to = timeToX(span.startUs + span.durationUs, scene, width);
  c.save();
  c.beginPath();
  c.rect(scene.split, top, width - scene.split, ROW_PX);
  c.clip();
  const [left, right] = edges(scene, span.startUs, span.durationUs, width);
  if (span.movedUs !== 0) paintUnmoved(c, scene, span, top, width, ink);
  c.fillStyle = colour;
  if (right > left) c.fillRect(left, top + 5, Math.max(2, right - left), ROW_PX - 10);
  if (span.error && right > left) {
    c.fillStyle = ink.bad;
    c.fillRect(left, top + ROW_PX - 5, Math.max(2, right - left), 2);
  }
  c.fillStyle = ink.fg;
  for (const event of span.events.slice(0, 50)) {
    const x = timeToX(event.timestamp - scene.trace.startUs + span.movedUs, scene, width);
    if (x >= scene.split && x <= width) c.fillRect(x, top + 4, 1, ROW_PX - 8);
  }
  paintPath(c, scene, index, top, width, ink);
  paintDuration(c, span, from, to, top, width, scene.split, ink);
  c.restore();
}

/** Where it stood by its own clock. */
function paintUnmoved(
  c: CanvasRenderingContext2D,
  scene: Scene,
  span: Span,
  top: number,
  width: number,
  ink: Inks,
): void {
  const [left, right] = edges(scene, span.startUs - span.movedUs, span.durationUs, width);
  if (right <= left) return;
  c.strokeStyle = ink.hatch;
  c.lineWidth = 1;
  c.setLineDash([2, 2]);
  c.strokeRect(left + 0.5, top + 3.5, Math.max(1, right - left - 1), ROW_PX - 7);
  c.setLineDash([]);
}

/** A line through the bar, where the trace waited for it. */
function paintPath(
  c: CanvasRenderingContext2D,
  scene: Scene,
  index: number,
  top: number,
  width: number,
  ink: Inks,
): void {
  const sections = scene.path?.get(index);
  if (!sections) return;
  let drawnTo = -Infinity;
  for (const { fromUs, toUs } of sections) {
    const [left, right] = edges(scene, fromUs, toUs - fromUs, width);
    // Thousands of them may share a pixel.
    if (right <= left || right <= drawnTo) continue;
    c.fillStyle = ink.surface;
    c.fillRect(left, top + ROW_PX / 2 - 2, right - left, 4);
    c.fillStyle = ink.fg;
    c.fillRect(left, top + ROW_PX / 2 - 1, right - left, 2);
    drawnTo = right;
  }
}

/** Beside the bar where there is room, on the right first; a bar that fills the view carries it inside. */
function paintDuration(
  c: CanvasRenderingContext2D,
  span: Span,
  from: number,
  to: number,
  top: number,
  width: number,
  split: number,
  ink: Inks,
): void {
  const text = formatDurationUs(span.durationUs);
  const middle = top + ROW_PX / 2;
  c.font = '11px system-ui, "DejaVu Sans", sans-serif';
  const wide = c.measureText(text).width;
  c.textAlign = 'left';
  c.fillStyle = ink.soft;
  if (to >= split && to + 6 + wide < width) c.fillText(text, Math.max(to, from + 2) + 5, middle);
  else if (from - 6 - wide > split) c.fillText(text, from - 5 - wide, middle);
  else if (to > split && from < width) {
    const at = Math.max(split, from) + 6;
    c.fillStyle = ink.surface;
    c.fillRect(at - 3, top + 5, wide + 6, ROW_PX - 10);
    c.fillStyle = ink.fg;
    c.fillText(text, at, middle);
  }
}

function paintRuler(
  c: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  height: number,
  marks: readonly number[],
  ink: Inks,
): void {
  c.fillStyle = ink.surface;
  c.fillRect(0, 0, width, RULER_PX);
  c.font = '11px system-ui, "DejaVu Sans", sans-serif';
  c.textAlign = 'left';
  c.fillStyle = ink.soft;
  c.fillText('Service and operation', 8, RULER_PX / 2);
  c.strokeStyle = ink.line;
  c.lineWidth = 1;
  c.fillStyle = ink.faint;
  for (const at of marks) c.fillText(formatDurationUs(at), Math.round(timeToX(at, scene, width)) + 3, RULER_PX / 2);
  stroke(c, 0, RULER_PX - 0.5, width, RULER_PX - 0.5);
  stroke(c, scene.split - 3.5, 0, scene.split - 3.5, height);
}

function stroke(c: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  c.beginPath();
  c.moveTo(x1, y1);
  c.lineTo(x2, y2);
  c.stroke();
}

const MINIMAP_SPANS = 6000;

/** The whole trace at the top: a thin line per span, compressed to the height there is, with the window in sight framed. */
export function paintMinimap(
  { context: c, width, height }: Surface,
  scene: Pick<Scene, 'trace' | 'window' | 'colour'>,
  drag: Window | null,
): void {
  const { spans, durationUs } = scene.trace;
  const whole = Math.max(durationUs, 1);
  const palette = new Map<string, string>();
  const dy = Math.min(4, (height - 4) / Math.max(1, spans.length));
  // Past a few thousand spans several share a pixel: every n-th shows the same shape in a frame's time.
  const stride = Math.ceil(spans.length / MINIMAP_SPANS);
  spans.forEach((span, i) => {
    if (span.missing || (i % stride !== 0 && !span.error)) return;
    c.fillStyle = inked(palette, scene.colour(span));
    c.fillRect(
      (span.startUs / whole) * width,
      2 + i * dy,
      Math.max(1, (span.durationUs / whole) * width),
      Math.max(0.6, dy - 0.4),
    );
  });
  const { from, to } = drag ?? scene.window;
  const left = (Math.min(from, to) / whole) * width;
  const right = (Math.max(from, to) / whole) * width;
  c.fillStyle = resolveColour('var(--bg)');
  c.globalAlpha = 0.72;
  c.fillRect(0, 0, left, height);
  c.fillRect(right, 0, width - right, height);
  c.globalAlpha = 1;
  if (right - left < width - 1) {
    c.strokeStyle = resolveColour('var(--accent)');
    c.strokeRect(left + 0.5, 0.5, Math.max(1, right - left - 1), height - 1);
  }
}
