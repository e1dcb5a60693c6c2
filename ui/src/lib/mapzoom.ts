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
