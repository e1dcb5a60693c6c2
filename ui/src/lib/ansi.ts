/**
 * Terminal text made safe and readable: colours become spans, everything else that would steer a terminal or turn the
 * direction of writing is taken out or shown as a sign.
 */

export interface StyledRange {
  from: number;
  to: number;
  /** Classes of `lines.css`. */
  style: string;
}

export interface PlainText {
  plain: string;
  styles: StyledRange[];
}

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;

/** CSI, OSC (ended by BEL or ST), and two-character sequences; ESC as the character itself, or C1's one-byte CSI. */
const ESCAPE =
  // eslint-disable-next-line no-control-regex
  /(?:\u001b\[|\u009b)([0-9;:]*)([ -/]*[@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]?/g;
/** Control characters but for tab and newline, and those that reorder what is read. */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Spans of one line; past it colours stay as they are. */
const MOST_STYLES = 200;

export function readAnsi(text: string): PlainText {
  if (!/[\u001b\u009b]/.test(text)) return { plain: shown(text), styles: [] };
  const styles: StyledRange[] = [];
  let plain = '';
  let at = 0;
  let look: Look = {};
  const put = (piece: string) => {
    const safe = shown(piece);
    const style = classes(look);
    if (safe !== '' && style !== '' && styles.length < MOST_STYLES) {
      styles.push({ from: plain.length, to: plain.length + safe.length, style });
    }
    plain += safe;
  };
  for (const m of text.matchAll(ESCAPE)) {
    put(text.slice(at, m.index));
    at = m.index + m[0].length;
    if (m[2] === 'm') look = turn(look, m[1] ?? '');
  }
  put(text.slice(at));
  return { plain, styles };
}

/** One sign for one character, so that places stay. */
function shown(text: string): string {
  return text.replace(UNSEEN, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '\u2421' : '\ufffd';
  });
}

interface Look {
  colour?: (typeof NAMES)[number] | undefined;
  bold?: boolean | undefined;
  dim?: boolean | undefined;
  italic?: boolean | undefined;
  underline?: boolean | undefined;
}

function turn(before: Look, text: string): Look {
  const codes = text === '' ? [0] : text.split(/[;:]/).map(Number);
  let look = before;
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] ?? 0;
    if (code === 38 || code === 48) {
      const long = codes[i + 1] === 2;
      const colour = long ? nearest(codes.slice(i + 2, i + 5)) : indexed(codes[i + 2] ?? -1);
      if (code === 38) look = { ...look, colour };
      i += long ? 4 : 2;
    } else look = step(look, code);
  }
  return look;
}

function step(look: Look, code: number): Look {
  if (code === 0) return {};
  if (code === 1) return { ...look, bold: true };
  if (code === 2) return { ...look, dim: true };
  if (code === 3) return { ...look, italic: true };
  if (code === 4) return { ...look, underline: true };
  if (code === 22) return { ...look, bold: undefined, dim: undefined };
  if (code === 23) return { ...look, italic: undefined };
  if (code === 24) return { ...look, underline: undefined };
  if (code === 39) return { ...look, colour: undefined };
  if (code >= 30 && code <= 37) return { ...look, colour: NAMES[code - 30] };
  if (code >= 90 && code <= 97) return { ...look, colour: NAMES[code - 90] };
  // Backgrounds would fight the marks of what was searched for.
  return look;
}

/** The 256 colours: sixteen named, a cube of six by six by six, and greys. */
function indexed(index: number): Look['colour'] {
  if (!(index >= 0 && index <= 255)) return undefined;
  if (index < 16) return NAMES[index % 8];
  if (index >= 232) return undefined;
  const cube = index - 16;
  return nearest([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((level) => level * 51));
}

/** The named colour with the same strong parts; a grey has none. */
function nearest(rgb: readonly number[]): Look['colour'] {
  const [r = 0, g = 0, b = 0] = rgb;
  const high = Math.max(r, g, b);
  if (high - Math.min(r, g, b) < 40) return undefined;
  const strong = (value: number) => (value > high * 0.6 ? 1 : 0);
  return NAMES[strong(r) + 2 * strong(g) + 4 * strong(b)];
}

function classes(look: Look): string {
  const out = look.colour && look.colour !== 'black' && look.colour !== 'white' ? [`ansi-${look.colour}`] : [];
  for (const name of ['bold', 'dim', 'italic', 'underline'] as const) if (look[name]) out.push(`ansi-${name}`);
  return out.join(' ');
}
