/** Which part of a picture is looked at: its scale and where its corner lies, moved by wheel, drag and keys. */

export interface Camera {
  /** Pixels of the screen per unit of the picture. */
  zoom: number;
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

const LEAST = 0.08;
const MOST = 3;
/** Small pictures are not blown up to fill the screen. */
const LARGEST_FIT = 1.15;

export function fitTo(picture: Size, screen: Size): Camera {
  const zoom = clamp(Math.min(screen.width / picture.width, screen.height / picture.height, LARGEST_FIT));
  return {
    zoom,
    x: (screen.width - picture.width * zoom) / 2,
    y: (screen.height - picture.height * zoom) / 2,
  };
}

/** All of it where it can be read so; else a part that can, around a place that matters. */
export function startAt(picture: Size, screen: Size, x: number, y: number): Camera {
  const all = fitTo(picture, screen);
  return all.zoom >= READABLE ? all : centreOn(all, x, y, screen, START);
}

/** Below it names are cut to a few letters. */
const READABLE = 0.4;
const START = 0.6;

/** Below it a picture is an overview: boxes are too small for names, and only some have one. */
export const OVERVIEW = 0.32;

/** Which of these have room for their name, the first in the list first. Letters are of nine pixels. */
export function namedOf(
  places: readonly { x: number; y: number; text: string }[],
  camera: Camera,
  most: number,
): Set<number> {
  const taken: [left: number, top: number, right: number, bottom: number][] = [];
  const out = new Set<number>();
  for (let i = 0; i < places.length && out.size < most; i += 1) {
    const place = places[i];
    if (!place) continue;
    const [x, y, half] = [place.x * camera.zoom, place.y * camera.zoom, place.text.length * 3 + 3];
    const box: (typeof taken)[number] = [x - half, y - 8, x + half, y + 8];
    if (taken.some((one) => box[0] < one[2] && box[2] > one[0] && box[1] < one[3] && box[3] > one[1])) continue;
    taken.push(box);
    out.add(i);
  }
  return out;
}

function clamp(zoom: number): number {
  return Math.min(MOST, Math.max(LEAST, zoom));
}

/** What lies under the point stays there. */
export function zoomAt(camera: Camera, factor: number, px: number, py: number): Camera {
  const zoom = clamp(camera.zoom * factor);
  const real = zoom / camera.zoom;
  return { zoom, x: px - (px - camera.x) * real, y: py - (py - camera.y) * real };
}

export function panBy(camera: Camera, dx: number, dy: number): Camera {
  return { ...camera, x: camera.x + dx, y: camera.y + dy };
}

/** The same scale with this place of the picture in the middle; readable, where it was too small to be read. */
export function centreOn(camera: Camera, x: number, y: number, screen: Size, leastZoom: number): Camera {
  const zoom = Math.max(camera.zoom, leastZoom);
  return { zoom, x: screen.width / 2 - x * zoom, y: screen.height / 2 - y * zoom };
}

/** Whether a place lies inside of the screen, with room around it. */
export function isInSight(camera: Camera, x: number, y: number, screen: Size, room: number): boolean {
  const [px, py] = [camera.x + x * camera.zoom, camera.y + y * camera.zoom];
  return px >= room && py >= room && px <= screen.width - room && py <= screen.height - room;
}

/** The size of letters, in units of the picture, that are read at this scale: never under nine pixels of the screen. */
export function letterSize(zoom: number, usual: number): number {
  return Math.max(usual, 9 / zoom);
}

/** Text cut to a width, both in the same units. */
export function cutText(text: string, width: number, letter: number): string {
  const room = Math.floor(width / (letter * 0.56));
  return text.length <= room ? text : `${text.slice(0, Math.max(1, room - 1))}…`;
}
