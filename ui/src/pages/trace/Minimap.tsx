/** The whole trace in a strip; dragging over it chooses the window, a double click shows everything again. */
import { useComputedColorScheme } from '@mantine/core';
import { memo, useRef, useState } from 'react';
import { useCanvas } from '../../chart/useCanvas';
import type { Span, Trace } from '../../lib/trace';
import type { Window } from '../../lib/zoom';
import { paintMinimap } from './waterfallPaint';

interface Props {
  trace: Trace;
  window: Window;
  colour: (span: Span) => string;
  onWindow: (window: Window) => void;
}

/** Memoised: choosing a span changes the page around it but nothing in the strip. */
export const Minimap = memo(function Minimap({ trace, window: view, colour, onWindow }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<Window | null>(null);
  useComputedColorScheme('light');
  useCanvas(canvas, (surface) => paintMinimap(surface, { trace, window: view, colour }, drag));
  const at = (event: React.PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / Math.max(1, box.width), 0), 1) * trace.durationUs;
  };
  const finish = () => {
    if (drag && Math.abs(drag.to - drag.from) > trace.durationUs / 500)
      onWindow({ from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) });
    setDrag(null);
  };
  return (
    <canvas
      ref={canvas}
      className="minimap"
      aria-hidden="true"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setDrag({ from: at(event), to: at(event) });
      }}
      onPointerMove={(event) => {
        if (drag) setDrag({ ...drag, to: at(event) });
      }}
      onPointerUp={finish}
      onDoubleClick={() => onWindow({ from: 0, to: trace.durationUs })}
    />
  );
});
