/**
 * The waterfall: one canvas that stays in place while a tall empty box scrolls behind it. Everything is reachable by
 * keys (arrows, [ ], w s a d), and the table view holds the same spans for readers that cannot see a canvas.
 */
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { useCanvas } from '../../chart/useCanvas';
import type { Section } from '../../lib/criticalpath';
import { formatDurationUs } from '../../lib/timeformat';
import { type Fold, isFolded, type Span, type Trace } from '../../lib/trace';
import { pan, type Window, zoomAt } from '../../lib/zoom';
import { arrowX, paintWaterfall, ROW_PX, RULER_PX, type Scene, xToTime } from './waterfallPaint';

interface Props {
  trace: Trace;
  rows: readonly number[];
  window: Window;
  fold: Fold;
  selected: number;
  matches: ReadonlySet<number>;
  path: ReadonlyMap<number, readonly Section[]> | undefined;
  colour: (span: Span) => string;
  stripe: ((span: Span) => string) | undefined;
  onSelect: (index: number) => void;
  onToggle: (index: number) => void;
  onFoldAll: (folded: boolean) => void;
  onWindow: (window: Window) => void;
}

export function Waterfall(props: Props) {
  const {
    trace,
    rows,
    window: view,
    fold,
    selected,
    matches,
    path,
    colour,
    stripe,
    onSelect,
    onToggle,
    onFoldAll,
    onWindow,
  } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState(-1);
  useComputedColorScheme('light');

  const sceneAt = (width: number): Scene => ({
    trace,
    rows,
    window: view,
    split: splitOf(width),
    scrollTop: scroller.current?.scrollTop ?? 0,
    selected,
    hover,
    matches,
    path,
    colour,
    stripe,
    folded: (index) => {
      const span = trace.spans[index];
      return span !== undefined && isFolded(span, fold);
    },
  });
  const repaint = useCanvas(canvas, (surface) => paintWaterfall(surface, sceneAt(surface.width)));

  const row = rows.indexOf(selected);
  useEffect(() => {
    const element = scroller.current;
    if (!element || row < 0) return;
    const top = row * ROW_PX;
    const room = element.clientHeight - RULER_PX - ROW_PX;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room) element.scrollTop = top - room;
  }, [row]);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    // React listens passively to wheel, and zooming must keep the page from scrolling.
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const width = element.clientWidth;
      const anchor = Math.min(1, Math.max(0, (event.offsetX - splitOf(width)) / (width - splitOf(width))));
      onWindow(zoomAt(view, event.deltaY > 0 ? 1.25 : 0.8, anchor, trace.durationUs));
    };
    element.addEventListener('wheel', onWheel, { passive: false });
    return () => element.removeEventListener('wheel', onWheel);
  }, [view, trace.durationUs, onWindow]);

  const hit = (event: React.MouseEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    const element = scroller.current;
    if (!box || !element) return { index: -1, x: 0 };
    const y = event.clientY - box.top - RULER_PX;
    return {
      index: y < 0 ? -1 : (rows[Math.floor((y + element.scrollTop) / ROW_PX)] ?? -1),
      x: event.clientX - box.left,
    };
  };
  const onClick = (event: React.MouseEvent) => {
    const { index, x } = hit(event);
    const span = trace.spans[index];
    if (!span) return;
    if (span.below > 0 && x >= arrowX(span) - 6 && x <= arrowX(span) + 11) onToggle(index);
    else onSelect(index);
  };
  const onDoubleClick = (event: React.MouseEvent) => {
    const { index, x } = hit(event);
    const span = trace.spans[index];
    const width = canvas.current?.clientWidth ?? 0;
    if (!span || x < splitOf(width)) return;
    const air = Math.max(span.durationUs * 0.05, 1);
    const at = xToTime(x, { window: view, split: splitOf(width) }, width);
    if (at >= 0)
      onWindow({
        from: Math.max(0, span.startUs - air),
        to: Math.min(trace.durationUs, span.startUs + span.durationUs + air),
      });
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const done = act(event.key, { ...props, row });
    if (done) event.preventDefault();
  };
  const chosen = trace.spans[selected];
  return (
    <div className="waterfallBox">
      <canvas ref={canvas} className="waterfallCanvas" aria-hidden="true" />
      <div
        ref={scroller}
        className="waterfall"
        tabIndex={0}
        role="group"
        aria-roledescription="waterfall"
        aria-label={`Waterfall of ${trace.count} spans over ${formatDurationUs(trace.durationUs)}${trace.gaps.length > 0 ? `, ${trace.gaps.length} more missing` : ''}. Arrow keys walk the spans; the table view lists them.`}
        onScroll={repaint}
        onKeyDown={onKeyDown}
        onClick={onClick}
        onDoubleClick={onDoubleClick}
        onMouseMove={(event) => setHover(hit(event).index)}
        onMouseLeave={() => setHover(-1)}
      >
        <div style={{ height: Math.max(1, rows.length * ROW_PX + RULER_PX) }} />
      </div>
      <div className="srOnly" aria-live="polite">
        {chosen ? speak(chosen, stripe !== undefined, path?.has(selected) ?? false) : ''}
      </div>
    </div>
  );

  function act(key: string, state: Props & { row: number }): boolean {
    const move = (to: number) => {
      const next = state.rows[Math.min(Math.max(to, 0), state.rows.length - 1)];
      if (next !== undefined) onSelect(next);
      return true;
    };
    const span = trace.spans[selected];
    switch (key) {
      case 'ArrowDown':
        return move(state.row + 1);
      case 'ArrowUp':
        return move(state.row < 0 ? 0 : state.row - 1);
      case 'Home':
        return move(0);
      case 'End':
        return move(state.rows.length - 1);
      case 'PageDown':
        return move(state.row + 20);
      case 'PageUp':
        return move(state.row - 20);
      case 'ArrowLeft':
        if (span && span.below > 0 && !isFolded(span, fold)) onToggle(selected);
        else if (span && span.parent >= 0) onSelect(span.parent);
        return true;
      case 'ArrowRight':
        if (span && isFolded(span, fold)) onToggle(selected);
        return true;
      case '[':
        onFoldAll(true);
        return true;
      case ']':
        onFoldAll(false);
        return true;
      case 'w':
        onWindow(zoomAt(view, 0.6, 0.5, trace.durationUs));
        return true;
      case 's':
        onWindow(zoomAt(view, 1.7, 0.5, trace.durationUs));
        return true;
      case 'a':
        onWindow(pan(view, -0.25, trace.durationUs));
        return true;
      case 'd':
        onWindow(pan(view, 0.25, trace.durationUs));
        return true;
      default:
        return false;
    }
  }
}

/** Names take a third, within what reads well. */
function splitOf(width: number): number {
  return Math.round(Math.min(Math.max(width * 0.34, 220), 520));
}

function speak(span: Span, many: boolean, onPath: boolean): string {
  if (span.missing) return `missing span, ${span.below} ${span.below === 1 ? 'span hangs' : 'spans hang'} below it`;
  const where = many && span.cluster ? ` in ${span.cluster}` : '';
  const more = `${span.error ? ', error' : ''}${onPath ? ', on the critical path' : ''}`;
  return `${span.service} ${span.operation}${where}, ${formatDurationUs(span.durationUs)}, level ${span.depth + 1}${more}`;
}
