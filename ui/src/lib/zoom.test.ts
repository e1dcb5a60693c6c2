import { describe, expect, it } from 'vitest';
import { pan, parseWindow, ticks, windowText, zoomAt } from './zoom';

describe('the zoom window', () => {
  it('keeps the anchor in place and stays inside the trace', () => {
    expect(zoomAt({ from: 0, to: 1000 }, 0.5, 0.5, 1000)).toEqual({ from: 250, to: 750 });
    expect(zoomAt({ from: 250, to: 750 }, 10, 0.5, 1000)).toEqual({ from: 0, to: 1000 });
    expect(pan({ from: 800, to: 1000 }, 0.5, 1000)).toEqual({ from: 800, to: 1000 });
  });

  it('is left out of the address when it shows everything', () => {
    expect(windowText({ from: 0, to: 1000 }, 1000)).toBeUndefined();
    expect(windowText({ from: 10.4, to: 900 }, 1000)).toBe('10,900');
    expect(parseWindow('900,10', 1000)).toEqual({ from: 0, to: 1000 });
    expect(parseWindow('10,900', 1000)).toEqual({ from: 10, to: 900 });
  });

  it('has round ticks', () => {
    expect(ticks({ from: 0, to: 1000 }, 5)).toEqual([0, 200, 400, 600, 800, 1000]);
    expect(ticks({ from: 0, to: 0 }, 5).length).toBeLessThanOrEqual(100);
  });
});
