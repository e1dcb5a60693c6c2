/**
 * Durations over time: a cell per bucket and step. A rectangle drawn over it, or Enter on a cell, selects the spans in it;
 * arrow keys walk the cells, and Shift with Enter widens the selection to the cell it is on.
 */
import { useComputedColorScheme } from '@mantine/core';
import { useMemo, useRef, useState } from 'react';
import { GapList } from '../../chart/GapList';
import { Ramp } from '../../chart/HeatMap';
import { cellAt, HEAT_LINES, nearestColumn, speakSpot, stepSpot } from '../../chart/heatSpots';
import { type Spot, Tip } from '../../chart/HeatTips';
import { paintHeat, type Place, placeOf, timeAt, xOf, yOf } from '../../chart/heatPaint';
import { resolveColour } from '../../chart/options';
import { Picture } from '../../chart/Picture';
import { type Surface, useCanvas } from '../../chart/useCanvas';
import { type Area, areaOf, areaOfCell, countInArea, joinAreas } from '../../lib/area';
import { type Gap, gapSummary } from '../../lib/gaps';
import { type Heat, makeScale, quantileOf, type Scale } from '../../lib/heat';
import type { Range, Zone } from '../../lib/time';
import { formatDateTime, formatDurationUs } from '../../lib/timeformat';
import { formatCount } from '../../lib/units';

interface Props {
  heat: Heat;
  stepSeconds: number;
  range: Range;
  zone: Zone;
  gaps: readonly Gap[];
  area: Area | null;
  onArea: (area: Area | null) => void;
  onZoomOut: () => void;
  height: number;
}

interface Drag {
  x1: number;
  y1: number;
  x2: number;
  y2: number;
}

/** A shorter stroke is a click. */
const LEAST_PX = 4;
const formatSeconds = (seconds: number) => formatDurationUs(seconds * 1e6);

export function DurationMap({ heat, stepSeconds, range, zone, gaps, area, onArea, onZoomOut, height }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useComputedColorScheme('light');
  const [spot, setSpot] = useState<Spot | null>(null);
  const [drag, setDrag] = useState<Drag | null>(null);
  const scale = useMemo(() => makeScale(heat, 'log'), [heat]);
  const summary = useMemo(
    () => describe(heat, area, stepSeconds, zone) + gapSummary(gaps, range, zone),
    [heat, area, stepSeconds, zone, gaps, range],
  );
  useCanvas(canvas, (surface) => {
    paintHeat(surface, {
      heat,
      scale,
      range,
      zone,
      stepSeconds,
      format: formatSeconds,
      lines: HEAT_LINES,
      cursor: spot,
      drag: null,
      marks: [],
      mark: -1,
      gaps,
    });
    paintChosen(surface, range, scale, area, drag);
  });

  const pointer = (event: React.MouseEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    const place = placeOf(box.width, height);
    const x = Math.min(Math.max(event.clientX - box.left, place.left), place.right);
    const y = Math.min(Math.max(event.clientY - box.top, place.top), place.bottom);
    return { x, y, place, isInside: event.clientX - box.left >= place.left && event.clientY - box.top <= place.bottom };
  };
  const onMove = (event: React.MouseEvent) => {
    const { x, y, place, isInside } = pointer(event);
    if (drag) setDrag({ ...drag, x2: x, y2: y });
    const column = isInside ? nearestColumn(heat, timeAt(place, range, x) / 1e3, stepSeconds) : -1;
    const at = heightAt(place, y);
    setSpot(column < 0 ? null : { column, cell: cellAt(heat.columns[column], scale, at) });
  };
  const select = (chosen: Drag, place: Place) => {
    const [left, right] = [Math.min(chosen.x1, chosen.x2), Math.max(chosen.x1, chosen.x2)];
    const [top, bottom] = [Math.min(chosen.y1, chosen.y2), Math.max(chosen.y1, chosen.y2)];
    const drawn = {
      fromS: timeAt(place, range, left) / 1e3,
      toS: timeAt(place, range, right) / 1e3,
      lowAt: heightAt(place, bottom),
      highAt: heightAt(place, top),
    };
    onArea(areaOf(heat, scale, drawn, stepSeconds));
  };
  const onUp = (event: React.MouseEvent) => {
    const { place } = pointer(event);
    const isDrawn = drag && (Math.abs(drag.x2 - drag.x1) > LEAST_PX || Math.abs(drag.y2 - drag.y1) > LEAST_PX);
    if (isDrawn) select(drag, place);
    else if (drag && spot) chooseCell(spot, event.shiftKey);
    setDrag(null);
  };
  const chooseCell = (at: Spot, isWider: boolean) => {
    const column = heat.columns[at.column];
    const cell = column ? areaOfCell(column, at.cell, stepSeconds) : null;
    if (cell) onArea(isWider && area ? joinAreas(area, cell) : cell);
    else if (area) onArea(null);
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'Escape') {
      setSpot(null);
      if (area) onArea(null);
    }
    if (event.key === 'Enter' && spot) chooseCell(spot, event.shiftKey);
    const next = stepSpot(heat, spot, event.key);
    if (!next) return;
    event.preventDefault();
    setSpot(next);
  };
  const column = spot ? heat.columns[spot.column] : undefined;
  const spoken = spot && column ? speakSpot(column, spot.cell, heat, formatSeconds, 'short', zone) : null;
  return (
    <Picture
      name="heatMap"
      kind="heat map"
      title="Durations over time"
      summary={summary}
      spoken={spoken ? `${spoken.time}: ${spoken.rows.map(([name, value]) => `${name} ${value}`).join(', ')}` : ''}
      onKeyDown={onKeyDown}
      onBlur={() => setSpot(null)}
      onDoubleClick={onZoomOut}
      onMouseMove={onMove}
      onMouseDown={(event) => {
        const { x, y, isInside } = pointer(event);
        if (isInside && event.button === 0) setDrag({ x1: x, y1: y, x2: x, y2: y });
      }}
      onMouseUp={onUp}
      onMouseLeave={() => {
        setSpot(null);
        setDrag(null);
      }}
      foot={
        <>
          <GapList gaps={gaps} range={range} zone={zone} />
          <div className="row heatFoot">
            <Ramp most={heat.most} unit="short" scheme={scheme} />
            <span className="soft">spans; lines are p50 and p99. Draw a rectangle to see what differs in it.</span>
          </div>
        </>
      }
    >
      <canvas ref={canvas} style={{ height }} aria-hidden="true" />
      {spoken && spot && column && !drag ? (
        <Tip canvas={canvas.current} spoken={spoken} column={column} spot={spot} scale={scale} range={range} />
      ) : null}
    </Picture>
  );
}

function heightAt(place: Place, y: number): number {
  return (place.bottom - y) / (place.bottom - place.top);
}

function paintChosen(
  { context: c, width, height }: Surface,
  range: Range,
  scale: Scale,
  area: Area | null,
  drag: Drag | null,
) {
  const place = placeOf(width, height);
  c.save();
  c.beginPath();
  c.rect(place.left - 1, place.top - 1, place.right - place.left + 2, place.bottom - place.top + 2);
  c.clip();
  if (area) {
    const left = xOf(place, range, area.fromMs / 1e3);
    const right = xOf(place, range, area.toMs / 1e3);
    const bottom = area.lowNs > 0 ? yOf(place, scale.at(area.lowNs / 1e9)) : place.bottom;
    const top = Number.isFinite(area.highNs) ? yOf(place, scale.at(area.highNs / 1e9)) : place.top;
    box(c, left, top, Math.max(3, right - left), Math.max(3, bottom - top));
  }
  if (drag) {
    const { x1, y1, x2, y2 } = drag;
    box(c, Math.min(x1, x2), Math.min(y1, y2), Math.abs(x2 - x1), Math.abs(y2 - y1));
  }
  c.restore();
}

/** A wash, and an edge that stands out from any shade below it. */
function box(c: CanvasRenderingContext2D, x: number, y: number, w: number, h: number): void {
  c.fillStyle = resolveColour('var(--chart-select)');
  c.fillRect(x, y, w, h);
  for (const [width, colour] of [
    [3.5, 'var(--surface)'],
    [1.5, 'var(--mark-point)'],
  ] as const) {
    c.lineWidth = width;
    c.strokeStyle = resolveColour(colour);
    c.strokeRect(x, y, w, h);
  }
}

function describe(heat: Heat, area: Area | null, stepSeconds: number, zone: Zone): string {
  if (heat.columns.length === 0) return 'No spans in this range.';
  const last = heat.columns[heat.columns.length - 1];
  const parts = last
    ? HEAT_LINES.flatMap((q) => {
        const value = quantileOf(last, q, heat.kind);
        return value === null ? [] : [`p${q * 100} ${formatSeconds(value)}`];
      })
    : [];
  const whole = `Heat map of ${heat.columns.length} steps; at the last one ${parts.join(', ')}.`;
  return area
    ? `${whole} Selected: ${areaWords(area, zone)}, ${formatCount(countInArea(heat, area, stepSeconds))} spans.`
    : whole;
}

export function areaWords(area: Area, zone: Zone): string {
  const clock = (ms: number) => formatDateTime(ms, zone).slice(11);
  const low = area.lowNs > 0 ? formatDurationUs(area.lowNs / 1e3) : '';
  const high = Number.isFinite(area.highNs) ? formatDurationUs(area.highNs / 1e3) : '';
  const long = low && high ? `${low} to ${high}` : low ? `longer than ${low}` : high ? `up to ${high}` : 'any duration';
  return `${clock(area.fromMs)} to ${clock(area.toMs)}, ${long}`;
}
