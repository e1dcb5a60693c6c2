/** A canvas that fits its box at the screen's own resolution and is painted at most once per frame. */
import { type RefObject, useCallback, useEffect, useRef } from 'react';

export interface Surface {
  context: CanvasRenderingContext2D;
  /** CSS pixels. */
  width: number;
  height: number;
}

/** Returns a function that asks for a repaint; `paint` always runs with its latest closure. */
export function useCanvas(canvas: RefObject<HTMLCanvasElement | null>, paint: (surface: Surface) => void): () => void {
  const latest = useRef(paint);
  const frame = useRef(0);
  const draw = useCallback(() => {
    frame.current = 0;
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (!element || !context) return;
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = element;
    if (element.width !== Math.round(width * scale) || element.height !== Math.round(height * scale)) {
      element.width = Math.round(width * scale);
      element.height = Math.round(height * scale);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    latest.current({ context, width, height });
  }, [canvas]);
  const request = useCallback(() => {
    if (frame.current === 0) frame.current = requestAnimationFrame(draw);
  }, [draw]);
  useEffect(() => {
    latest.current = paint;
    request();
  });
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const resize = new ResizeObserver(request);
    resize.observe(element);
    return () => {
      resize.disconnect();
      cancelAnimationFrame(frame.current);
      frame.current = 0;
    };
  }, [canvas, request]);
  return request;
}
