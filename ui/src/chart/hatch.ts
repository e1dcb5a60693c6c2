/** Hatches over the ranges that an answer lacks: a pattern per state, so that none is told by colour alone. */
import { type Gap, type GapState, union } from '../lib/gaps';
import type { Range } from '../lib/time';
import { resolveColour } from './options';

/** Distance of the strokes in CSS pixels. */
const APART: Record<GapState, number> = { missing: 8, partial: 8, late: 12 };
/** Strokes over the whole of a picture are kept thin: its lines are still what people came for. */
const APART_WHOLE = 16;
const STRENGTH = 0.6;
/** A hole narrower than this would not be seen. */
const NARROWEST = 2;

export interface Band {
  left: number;
  right: number;
  state: GapState;
  /** Nothing of the picture is outside of it. */
  whole: boolean;
}

const STATES: readonly GapState[] = ['late', 'partial', 'missing'];

/** Holes of the same state drawn over each other would be a grey block: they are joined first. */
export function bandsOf(gaps: readonly Gap[], range: Range, toX: (ms: number) => number): Band[] {
  return STATES.flatMap((state) => {
    const holes: Range[] = gaps.filter((gap) => gap.state === state).flatMap((gap) => gap.holes);
    return union(holes).map((hole) => {
      const left = toX(hole.fromMs);
      const whole = hole.fromMs <= range.fromMs && hole.toMs >= range.toMs;
      return { left, right: Math.max(toX(hole.toMs), left + NARROWEST), state, whole };
    });
  });
}

/** `scale` is the number of canvas pixels in a CSS pixel where the context is not scaled by itself. */
export function paintHatch(
  c: CanvasRenderingContext2D,
  bands: readonly Band[],
  top: number,
  bottom: number,
  scale = 1,
): void {
  if (bands.length === 0) return;
  c.save();
  c.strokeStyle = resolveColour('var(--hatch)');
  for (const band of bands) {
    c.save();
    c.beginPath();
    c.rect(band.left, top, band.right - band.left, bottom - top);
    c.clip();
    c.fillStyle = resolveColour('var(--hatch-wash)');
    c.fillRect(band.left, top, band.right - band.left, bottom - top);
    c.lineWidth = scale;
    c.setLineDash(band.state === 'late' ? [3 * scale, 4 * scale] : []);
    c.globalAlpha = STRENGTH;
    strokes(c, band, top, bottom, (band.whole ? APART_WHOLE : APART[band.state]) * scale);
    c.restore();
    if (band.whole) continue;
    c.lineWidth = scale;
    c.setLineDash([]);
    for (const x of [band.left, band.right]) {
      c.beginPath();
      c.moveTo(x, top);
      c.lineTo(x, bottom);
      c.stroke();
    }
  }
  c.restore();
}

/** Rising strokes for what is missing, falling ones for what is partial. */
function strokes(c: CanvasRenderingContext2D, band: Band, top: number, bottom: number, apart: number): void {
  const tall = bottom - top;
  c.beginPath();
  // On multiples of the distance, so that neighbouring bands line up.
  for (let x = Math.floor((band.left - tall) / apart) * apart; x <= band.right + tall; x += apart) {
    if (band.state === 'partial') {
      c.moveTo(x, top);
      c.lineTo(x + tall, bottom);
    } else {
      c.moveTo(x, bottom);
      c.lineTo(x + tall, top);
    }
  }
  c.stroke();
}
