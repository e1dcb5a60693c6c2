import { expect, it } from 'vitest';
import { centreOn, cutText, fitTo, isInSight, letterSize, namedOf, panBy, startAt, zoomAt } from './mapzoom';

it('a picture fits its screen, in the middle', () => {
  const camera = fitTo({ width: 2000, height: 500 }, { width: 1000, height: 800 });
  expect(camera).toEqual({ zoom: 0.5, x: 0, y: 275 });
  expect(fitTo({ width: 10, height: 10 }, { width: 1000, height: 800 }).zoom).toBe(1.15);
});

it('zooming keeps what is under the pointer', () => {
  const camera = { zoom: 0.5, x: 10, y: 20 };
  const near = zoomAt(camera, 2, 110, 120);
  expect((110 - near.x) / near.zoom).toBeCloseTo((110 - camera.x) / camera.zoom);
  expect((120 - near.y) / near.zoom).toBeCloseTo((120 - camera.y) / camera.zoom);
  expect(zoomAt(camera, 100, 0, 0).zoom).toBe(3);
  expect(panBy(camera, 5, -5)).toEqual({ zoom: 0.5, x: 15, y: 15 });
});

it('a place is brought into sight and can be read', () => {
  const screen = { width: 1000, height: 800 };
  const camera = centreOn({ zoom: 0.2, x: 0, y: 0 }, 3000, 2000, screen, 0.6);
  expect(camera.zoom).toBe(0.6);
  expect(isInSight(camera, 3000, 2000, screen, 50)).toBe(true);
  expect(isInSight(camera, 0, 0, screen, 0)).toBe(false);
  expect(letterSize(0.3, 12)).toBe(30);
  expect(letterSize(1, 12)).toBe(12);
  expect(cutText('a-very-long-service-name', 100, 12)).toBe('a-very-long-s…');
  expect(cutText('short', 100, 12)).toBe('short');
});

it('a picture too large to be read begins at the place that matters', () => {
  const screen = { width: 1000, height: 800 };
  expect(startAt({ width: 1500, height: 900 }, screen, 0, 0)).toEqual(fitTo({ width: 1500, height: 900 }, screen));
  const near = startAt({ width: 9000, height: 9000 }, screen, 4000, 100);
  expect(near.zoom).toBe(0.6);
  expect(isInSight(near, 4000, 100, screen, 100)).toBe(true);
});

it('names of an overview do not overlap, and the first in the list have theirs', () => {
  const at = (x: number, y: number) => ({ x, y, text: 'checkout' });
  const camera = { zoom: 0.2, x: 0, y: 0 };
  expect([...namedOf([at(0, 0), at(50, 20), at(0, 100), at(400, 0)], camera, 10)]).toEqual([0, 2, 3]);
  expect(namedOf([at(0, 0), at(0, 1000)], camera, 1).size).toBe(1);
});
