/**
 * The map: nodes and edges as SVG, moved by drag and wheel. One node at a time takes focus; arrow keys go to the next one
 * in their direction, Enter looks at it, its name leads to its page.
 */
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState } from 'react';
import { type Laid, type LayoutRequest, middleOf, nextInDirection, pathOf, type Point } from '../../lib/graphlayout';
import {
  type Camera,
  centreOn,
  fitTo,
  isInSight,
  namedOf,
  OVERVIEW,
  panBy,
  type Size,
  startAt,
  zoomAt,
} from '../../lib/mapzoom';
import type { GraphNode, ServiceGraph } from '../../lib/servicegraph';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';
import { EdgeLabel, EdgeLine } from './EdgeLine';
import { NODE_TALL, NODE_WIDE, NodeBox } from './NodeBox';
import { useLayout } from './useLayout';

interface Props {
  graph: ServiceGraph;
  current: string | undefined;
  found: ReadonlySet<string>;
  onNode: (key: string | undefined) => void;
  onFold: (key: string) => void;
}

/** Labels of edges take room in the layout: with more of them there is none. */
const LABELLED = 60;
/** Below this scale nothing but names can be read. */
const DETAILED = 0.5;
/** Names on an overview. */
const MOST_NAMES = 80;
/** A shorter stroke is a click. */
const LEAST_PX = 4;

export function MapView({ graph, current, found, onNode, onFold }: Props) {
  const nodes = useMemo(() => [...graph.nodes.values()], [graph]);
  const isLabelled = graph.edges.length <= LABELLED;
  const request = useMemo<LayoutRequest>(() => requestOf(graph, isLabelled), [graph, isLabelled]);
  const { laid, isWaiting, error } = useLayout(request);
  const frame = useRef<HTMLDivElement>(null);
  const busiest = nodes.reduce((most, node, i) => (node.rate > (nodes[most]?.rate ?? 0) ? i : most), 0);
  const { camera, setCamera, screen, fit } = useCamera(frame, laid, laid?.nodes[busiest]);
  const [focused, setFocused] = useState(0);
  const [hovered, setHovered] = useState<string | null>(null);
  const navigate = useNavigate();
  const onPage = (name: string) =>
    void navigate({ to: '/services/$name', params: { name }, search: (before: CommonSearch) => pickCommon(before) });
  const at = Math.min(focused, nodes.length - 1);
  const ways = useMemo(() => new Map(request.edges.map(({ from, to }, i) => [`${from}\n${to}`, i])), [request]);
  const places = laid?.nodes ?? [];

  // A node that is looked at is in sight.
  useEffect(() => {
    const i = nodes.findIndex((node) => node.key === current);
    const place = laid?.nodes[i];
    if (!place || !screen) return;
    setFocused(i);
    setCamera((now) =>
      now && isInSight(now, place.x, place.y, screen, 8) ? now : now && centreOn(now, place.x, place.y, screen, 0.6),
    );
  }, [current, laid, screen]);

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'Escape') onNode(undefined);
    if (event.key === '+' || event.key === '=') zoomMiddle(1.25);
    if (event.key === '-') zoomMiddle(0.8);
    if (event.key === '0') fit();
    const direction = ARROWS[event.key];
    if (!direction || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = nextInDirection(places, at, ...direction);
    if (next < 0) return;
    setFocused(next);
    const place = places[next];
    if (place && screen) {
      setCamera((now) =>
        now && isInSight(now, place.x, place.y, screen, 60)
          ? now
          : now && centreOn(now, place.x, place.y, screen, now.zoom),
      );
    }
    frame.current?.querySelector<HTMLElement>(`[data-node="${next}"]`)?.focus();
  };
  const zoomMiddle = (factor: number) => {
    if (screen) setCamera((now) => now && zoomAt(now, factor, screen.width / 2, screen.height / 2));
  };
  // One that was folded away under the pointer is not left by it.
  const near = (hovered !== null && graph.nodes.has(hovered) ? hovered : current) ?? null;
  const isDetailed = (camera?.zoom ?? 1) >= DETAILED;
  const drawn = graph.edges.map((edge) => ({
    edge,
    points: laid?.edges[ways.get(`${edge.from}\n${edge.to}`) ?? -1] ?? [],
    isNear: near !== null && (edge.from === near || edge.to === near),
  }));
  const named = useNamed(nodes, laid, camera);
  return (
    <section className="panel mapFrame" aria-label="Service map" onKeyDown={onKeyDown}>
      <div ref={frame} className="mapBody">
        {laid && camera ? (
          <svg className="map" role="group" aria-label={describe(graph)}>
            <g transform={`translate(${camera.x} ${camera.y}) scale(${camera.zoom})`}>
              <g>
                {drawn.map(({ edge, points, isNear }) => (
                  <EdgeLine
                    key={`${edge.from}\n${edge.to}\n${edge.type}`}
                    edge={edge}
                    path={pathOf(points)}
                    zoom={camera.zoom}
                    isNear={isNear}
                    isFar={near !== null && !isNear}
                  />
                ))}
              </g>
              <g>
                {drawn.map(({ edge, points, isNear }) => {
                  // Without room of their own they stand for one node at a time.
                  const isUsual = isDetailed && isLabelled && near === null;
                  return points.length > 0 && (isNear || isUsual) ? (
                    <EdgeLabel
                      key={`${edge.from}\n${edge.to}\n${edge.type}`}
                      edge={edge}
                      middle={middleOf(points)}
                      zoom={camera.zoom}
                    />
                  ) : null;
                })}
              </g>
              {nodes.map((node, i) => {
                const place = laid.nodes[i];
                if (!place) return null;
                return (
                  <NodeBox
                    key={node.key}
                    node={node}
                    place={place}
                    index={i}
                    zoom={camera.zoom}
                    isDetailed={isDetailed}
                    naming={named === null ? 'cut' : named.has(i) || found.has(node.key) ? 'whole' : 'none'}
                    isFocusable={i === at}
                    isCurrent={node.key === current}
                    isFound={found.has(node.key)}
                    isFar={found.size > 0 && !found.has(node.key)}
                    onPick={() => onNode(node.key === current ? undefined : node.key)}
                    onOpen={() => onFold(node.key)}
                    onPage={() => onPage(node.name)}
                    onHover={setHovered}
                    onFocus={() => setFocused(i)}
                  />
                );
              })}
            </g>
          </svg>
        ) : null}
        {isWaiting ? (
          <div className="mapWait" role="status">
            <span className="busy" /> Laying out {nodes.length} nodes
          </div>
        ) : null}
        {error ? (
          <div className="mapWait" role="alert">
            The map could not be laid out: {error}. The table has all of it.
          </div>
        ) : null}
      </div>
      <div className="row mapFoot">
        <Key />
        <span className="grow" />
        <div className="group" role="group" aria-label="Zoom">
          <button type="button" className="btn" aria-label="Smaller" onClick={() => zoomMiddle(0.8)}>
            −
          </button>
          <button type="button" className="btn" onClick={fit} title="All of it (0)">
            Fit
          </button>
          <button type="button" className="btn" aria-label="Larger" onClick={() => zoomMiddle(1.25)}>
            +
          </button>
        </div>
      </div>
    </section>
  );
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowDown: [0, 1],
  ArrowUp: [0, -1],
};

/** Two edges between the same nodes go one way: the layout sees them once. */
function requestOf(graph: ServiceGraph, isLabelled: boolean): LayoutRequest {
  const pairs = new Map(graph.edges.map(({ from, to }) => [`${from}\n${to}`, { from, to, label: isLabelled }]));
  return {
    nodes: [...graph.nodes.keys()].map((key) => ({ key, width: NODE_WIDE, height: NODE_TALL })),
    // Rates change their order with every refresh, and with it the picture.
    edges: [...pairs.entries()].sort(([a], [b]) => a.localeCompare(b)).map(([, edge]) => edge),
  };
}

function describe(graph: ServiceGraph): string {
  const failing = graph.edges.filter((edge) => edge.failed > 0).length;
  return `${graph.nodes.size} nodes, ${graph.edges.length} edges, ${failing} of them with errors. The table has the same.`;
}

/** Names that an overview has room for, those of the busiest first; null where every box holds its own. */
function useNamed(nodes: readonly GraphNode[], laid: Laid | null, camera: Camera | null): ReadonlySet<number> | null {
  const zoom = camera?.zoom ?? 1;
  return useMemo(() => {
    if (!laid || zoom >= OVERVIEW) return null;
    const order = [...nodes.keys()].sort((a, b) => (nodes[b]?.rate ?? 0) - (nodes[a]?.rate ?? 0));
    const places = order.map((i) => ({ x: 0, y: 0, ...laid.nodes[i], text: nodes[i]?.name ?? '' }));
    const chosen = namedOf(places, { zoom, x: 0, y: 0 }, MOST_NAMES);
    return new Set([...chosen].map((at) => order[at] ?? -1));
  }, [nodes, laid, zoom]);
}

/** Where the picture is looked at from: all of it at first, then as it was moved, until it is another picture. */
function useCamera(frame: React.RefObject<HTMLDivElement | null>, laid: Size | null, start: Point | undefined) {
  const [camera, setCamera] = useState<Camera | null>(null);
  const [screen, setScreen] = useState<Size | null>(null);
  const drag = useRef<{ x: number; y: number; moved: boolean } | null>(null);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const measure = () => setScreen({ width: element.clientWidth, height: element.clientHeight });
    const resize = new ResizeObserver(measure);
    resize.observe(element);
    measure();
    return () => resize.disconnect();
  }, [frame]);
  const isReady = laid !== null && screen !== null && screen.width > 0;
  useEffect(() => {
    if (laid && screen && screen.width > 0) setCamera(startAt(laid, screen, start?.x ?? 0, start?.y ?? 0));
    // A window that changes its size does not move what one looks at.
  }, [laid, isReady]);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const factor = Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015));
      setCamera((now) => now && zoomAt(now, factor, event.clientX - box.left, event.clientY - box.top));
    };
    const onDown = (event: PointerEvent) => {
      if (event.button === 0) drag.current = { x: event.clientX, y: event.clientY, moved: false };
    };
    const onMove = (event: PointerEvent) => {
      const from = drag.current;
      if (!from) return;
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      if (!from.moved && Math.hypot(dx, dy) < LEAST_PX) return;
      drag.current = { x: event.clientX, y: event.clientY, moved: true };
      setCamera((now) => now && panBy(now, dx, dy));
    };
    const onUp = () => {
      // The click that follows a drag is none.
      if (drag.current?.moved) element.addEventListener('click', swallow, { capture: true, once: true });
      window.setTimeout(() => element.removeEventListener('click', swallow, { capture: true }));
      drag.current = null;
    };
    element.addEventListener('wheel', onWheel, { passive: false });
    element.addEventListener('pointerdown', onDown);
    window.addEventListener('pointermove', onMove);
    window.addEventListener('pointerup', onUp);
    return () => {
      element.removeEventListener('wheel', onWheel);
      element.removeEventListener('pointerdown', onDown);
      window.removeEventListener('pointermove', onMove);
      window.removeEventListener('pointerup', onUp);
    };
  }, [frame]);
  const fit = () => {
    if (laid && screen) setCamera(fitTo(laid, screen));
  };
  return { camera, setCamera, screen, fit };
}

function swallow(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}

function Key() {
  return (
    <ul className="row mapKey" aria-label="What the signs mean">
      <li>
        <span className="mapKeyLine" /> wider: more requests
      </li>
      <li>
        <span className="mapKeyLine bad" /> ✖ with errors
      </li>
      <li>
        <span className="mapKeyLine dashed" /> through a queue
      </li>
      <li className="mapKeyHint">Drag and wheel move it; arrow keys go from node to node.</li>
    </ul>
  );
}
