/**
 * A flame graph (roots at the top): one canvas that stays in place while a tall empty box scrolls behind it. Boxes are
 * walked with the arrow keys and said; a click or Enter zooms, Escape goes back. What it stands for is the caller's, and so
 * is the table of the same values.
 */
import { useComputedColorScheme } from '@mantine/core';
import { type ReactNode, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { type Box, type FlameNode, flameStep, flameTree, layoutFlame } from '../lib/flame';
import { FLAME_ROW_PX, type FlameLook, paintFlame } from './flamePaint';
import { useCanvas } from './useCanvas';
import './flame.css';

interface Props {
  title: string;
  summary: string;
  nodes: readonly FlameNode[];
  look: (node: number) => FlameLook;
  /** What is said of a box: its name, then facts. */
  facts: (node: number) => { name: string; rows: (readonly [string, string])[] };
  /** The box that takes the whole width, -1 for none. */
  focus: number;
  onFocus: (node: number) => void;
  matches?: ReadonlySet<number> | undefined;
  /** Of the box under the cursor, or else the one in focus. */
  foot?: ((node: number) => ReactNode) | undefined;
}

/** Boxes narrower than this are not drawn. */
const LEAST_PX = 0.75;

export function Flame({ title, summary, nodes, look, facts, focus, onFocus, matches, foot }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(1000);
  const [cursor, setCursor] = useState(-1);
  const [hover, setHover] = useState<{ node: number; x: number; y: number } | null>(null);
  useComputedColorScheme('light');
  const tree = useMemo(() => flameTree(nodes), [nodes]);
  const boxes = useMemo(() => layoutFlame(nodes, tree, focus, LEAST_PX / width), [nodes, tree, focus, width]);
  const above = useMemo(() => {
    const out = new Set<number>();
    for (let i = nodes[focus]?.parent ?? -1; i >= 0; i = nodes[i]?.parent ?? -1) out.add(i);
    return out;
  }, [nodes, focus]);
  const at = cursor >= 0 && cursor < nodes.length ? cursor : focus;
  const repaint = useCanvas(canvas, (surface) =>
    paintFlame(surface, {
      boxes,
      look,
      scrollTop: scroller.current?.scrollTop ?? 0,
      cursor: hover?.node ?? cursor,
      focus,
      above,
      matches,
    }),
  );

  useLayoutEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const measure = () => setWidth(Math.max(1, element.clientWidth));
    measure();
    const resize = new ResizeObserver(measure);
    resize.observe(element);
    return () => resize.disconnect();
  }, []);
  const depth = nodes[at]?.depth;
  useEffect(() => {
    const element = scroller.current;
    if (!element || depth === undefined) return;
    const top = depth * FLAME_ROW_PX;
    const room = element.clientHeight - 2 * FLAME_ROW_PX;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room) element.scrollTop = top - Math.max(0, room);
  }, [depth]);

  const hit = (event: React.MouseEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return null;
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    const row = Math.floor((y + (scroller.current?.scrollTop ?? 0)) / FLAME_ROW_PX);
    const node = boxAt(boxes, row, x / Math.max(1, box.width));
    return node < 0 ? null : { node, x, y };
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter') onFocus(at);
    else if (event.key === 'Escape' && focus >= 0) onFocus(nodes[focus]?.parent ?? -1);
    else if (event.key.startsWith('Arrow')) {
      const next = flameStep(nodes, tree, at, event.key);
      setCursor(next);
      // The cursor never leaves what is drawn: going up past the focus takes the focus along.
      if (above.has(next)) onFocus(next);
    } else return;
    event.preventDefault();
  };
  // What the pointer was over may be gone with the nodes before.
  const told = hover && hover.node < nodes.length ? facts(hover.node) : null;
  const spoken = at >= 0 ? facts(at) : null;
  return (
    <div className="flame">
      <div className="flameBox">
        <canvas ref={canvas} className="flameCanvas" aria-hidden="true" />
        <div
          ref={scroller}
          className="flameScroll"
          role="group"
          aria-roledescription="flame graph"
          aria-label={`${title}. ${summary}`}
          tabIndex={0}
          onScroll={repaint}
          onKeyDown={onKeyDown}
          onMouseMove={(event) => setHover(hit(event))}
          onMouseLeave={() => setHover(null)}
          onClick={(event) => {
            const found = hit(event);
            if (!found) return;
            setCursor(found.node);
            onFocus(found.node);
          }}
        >
          <div style={{ height: Math.max(1, tree.levels * FLAME_ROW_PX) }} />
        </div>
        {told && hover ? (
          <div className="timeTooltip flameTip" style={tipPlace(hover, width, scroller.current)} aria-hidden="true">
            <strong>{told.name}</strong>
            {told.rows.map(([name, value]) => (
              <div key={name} className="timeTooltipRow">
                <span className="soft grow">{name}</span>
                <span className="num">{value}</span>
              </div>
            ))}
          </div>
        ) : null}
      </div>
      {foot ? <div className="flameFoot">{foot(at)}</div> : null}
      <div className="srOnly" aria-live="polite">
        {spoken ? `${spoken.name}: ${spoken.rows.map(([name, value]) => `${name} ${value}`).join(', ')}` : ''}
      </div>
    </div>
  );
}

function boxAt(boxes: readonly Box[], row: number, share: number): number {
  return boxes.find((box) => box.depth === row && share >= box.from && share < box.to)?.node ?? -1;
}

function tipPlace(hover: { x: number; y: number }, width: number, scroller: Element | null): React.CSSProperties {
  const side = hover.x > width / 2 ? { right: width - hover.x + 14 } : { left: hover.x + 14 };
  const room = (scroller?.clientHeight ?? 0) - 130;
  return { ...side, top: Math.max(4, Math.min(hover.y + 16, room)) };
}
