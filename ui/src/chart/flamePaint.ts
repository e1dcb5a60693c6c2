/** Painting a flame graph: the rows in sight, each box with as much of its name as fits. */
import type { Box } from '../lib/flame';
import { resolveColour } from './ink';
import type { Surface } from './useCanvas';

export const FLAME_ROW_PX = 22;
const GAP_PX = 1;
/** Narrower boxes carry no text. */
const TEXT_PX = 26;
const EDGE_PX = 3;

/** How one box looks; `strength` is how much of the colour shows, from 0 to 1. */
export interface FlameLook {
  colour: string;
  strength: number;
  text: string;
  /** Drawn with a dashed frame: it stands for what is not there. */
  absent: boolean;
  bad: boolean;
}

export interface FlameScene {
  boxes: readonly Box[];
  look: (node: number) => FlameLook;
  scrollTop: number;
  cursor: number;
  focus: number;
  /** Those above the focus are only there to lead back. */
  above: ReadonlySet<number>;
  matches: ReadonlySet<number> | undefined;
}

export function paintFlame({ context: c, width, height }: Surface, scene: FlameScene): void {
  const ink = (name: string) => resolveColour(`var(--${name})`);
  const inks = { fg: ink('fg'), soft: ink('fg-soft'), accent: ink('accent'), bad: ink('bad'), mark: ink('mark') };
  const palette = new Map<string, string>();
  c.font = '12px system-ui, "DejaVu Sans", sans-serif';
  c.textBaseline = 'middle';
  c.textAlign = 'left';
  const first = Math.floor(scene.scrollTop / FLAME_ROW_PX);
  const last = Math.ceil((scene.scrollTop + height) / FLAME_ROW_PX);
  for (const box of scene.boxes) {
    if (box.depth < first || box.depth > last) continue;
    const look = scene.look(box.node);
    let colour = palette.get(look.colour);
    if (colour === undefined) palette.set(look.colour, (colour = resolveColour(look.colour)));
    const left = box.from * width;
    const wide = Math.max(1, (box.to - box.from) * width - GAP_PX);
    const top = box.depth * FLAME_ROW_PX - scene.scrollTop;
    const tall = FLAME_ROW_PX - GAP_PX;
    paintBody(c, { left, top, wide, tall }, colour, look, scene.above.has(box.node));
    if (scene.matches?.has(box.node)) {
      c.fillStyle = inks.mark;
      c.fillRect(left, top + tall - 3, wide, 3);
    }
    if (look.bad) {
      c.fillStyle = inks.bad;
      c.fillRect(left, top + tall - 2, wide, 2);
    }
    if (box.node === scene.cursor) {
      c.strokeStyle = inks.accent;
      c.lineWidth = 2;
      c.strokeRect(left + 1, top + 1, Math.max(1, wide - 2), tall - 2);
    }
    if (wide < TEXT_PX) continue;
    c.save();
    c.beginPath();
    c.rect(left, top, wide - 3, tall);
    c.clip();
    c.fillStyle = scene.above.has(box.node) ? inks.soft : inks.fg;
    c.fillText(look.text, Math.max(left, 0) + EDGE_PX + 4, top + tall / 2);
    c.restore();
  }
}

interface Rect {
  left: number;
  top: number;
  wide: number;
  tall: number;
}

function paintBody(
  c: CanvasRenderingContext2D,
  { left, top, wide, tall }: Rect,
  colour: string,
  look: FlameLook,
  above: boolean,
): void {
  c.fillStyle = colour;
  c.globalAlpha = (above ? 0.5 : 1) * (0.1 + 0.4 * look.strength);
  c.fillRect(left, top, wide, tall);
  c.globalAlpha = above ? 0.5 : 1;
  if (look.absent) {
    c.strokeStyle = colour;
    c.lineWidth = 1;
    c.setLineDash([4, 3]);
    c.strokeRect(left + 0.5, top + 0.5, Math.max(1, wide - 1), tall - 1);
    c.setLineDash([]);
  } else c.fillRect(left, top, Math.min(EDGE_PX, wide), tall);
  c.globalAlpha = 1;
}
