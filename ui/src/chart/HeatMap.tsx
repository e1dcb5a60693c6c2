/**
 * Histograms over time: a cell per bucket and step, its shade the count. Bounds and shares stand in the tooltip; drag zooms,
 * arrow keys walk the cells, and the same numbers are a table in `HeatTable`.
 */
import { useComputedColorScheme } from '@mantine/core';
import { useMemo, useRef, useState } from 'react';
import { type Heat, makeScale, quantileOf, type Scale } from '../lib/heat';
import { type Gap, gapSummary, lackingAt, lackingText } from '../lib/gaps';
import type { Range, Zone } from '../lib/time';
import { formatValue, type Unit } from '../lib/units';
import { GapList } from './GapList';
import { cellAt, HEAT_LINES, nearestColumn, speakSpot, stepSpot } from './heatSpots';
import { MarkTip, type Spot, Tip } from './HeatTips';
import { colours, markPlace, paintHeat, placeOf, timeAt } from './heatPaint';
import { type Mark, nearestMark } from './marks';
import { Picture } from './Picture';
import { useCanvas } from './useCanvas';
import './chart.css';

interface Props {
  title: string;
  heat: Heat;
  /** Of the observed values. */
  unit: Unit;
  /** Of the counts in the cells. */
  countUnit: Unit;
  zone: Zone;
  range: Range;
  stepSeconds: number;
  height: number;
  scale: Scale['kind'];
  onScale: (kind: Scale['kind']) => void;
  onZoom: (range: Range) => void;
  onZoomOut: () => void;
  marks?: readonly Mark[] | undefined;
  onMark?: ((index: number) => void) | undefined;
  /** What the answer lacks: hatched, named below, and said. */
  gaps?: readonly Gap[] | undefined;
}

const NO_MARKS: readonly Mark[] = [];
const NO_GAPS: readonly Gap[] = [];

export function HeatMap({ title, heat, unit, countUnit, zone, range, stepSeconds, height, ...props }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useComputedColorScheme('light');
  const [spot, setSpot] = useState<Spot | null>(null);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const [mark, setMark] = useState(-1);
  const marks = props.marks ?? NO_MARKS;
  const scale = useMemo(() => makeScale(heat, props.scale), [heat, props.scale]);
  const gaps = props.gaps ?? NO_GAPS;
  const summary = useMemo(() => describe(heat, unit) + gapSummary(gaps, range, zone), [heat, unit, gaps, range, zone]);
  const format = (value: number) => formatValue(value, unit);
  useCanvas(canvas, (surface) =>
    paintHeat(surface, {
      heat,
      scale,
      range,
      zone,
      stepSeconds,
      format,
      lines: HEAT_LINES,
      cursor: mark < 0 ? spot : null,
      drag,
      marks,
      mark,
      gaps,
    }),
  );

  const pointer = (event: React.MouseEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top, place: placeOf(box.width, box.height) };
  };
  const onMove = (event: React.MouseEvent) => {
    const { x, y, place } = pointer(event);
    if (drag) setDrag({ ...drag, to: Math.min(Math.max(x, place.left), place.right) });
    const inside = x >= place.left && x <= place.right && y >= place.top && y <= place.bottom;
    const column = inside ? nearestColumn(heat, timeAt(place, range, x) / 1e3, stepSeconds) : -1;
    const at = (place.bottom - y) / (place.bottom - place.top);
    setMark(inside ? nearestMark(marks, x, y, (one) => markPlace(place, { scale, range }, one)) : -1);
    setSpot(column < 0 ? null : { column, cell: cellAt(heat.columns[column], scale, at) });
  };
  const onUp = (event: React.MouseEvent) => {
    const { place } = pointer(event);
    if (drag && Math.abs(drag.to - drag.from) > 4) {
      const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
      props.onZoom({ fromMs: timeAt(place, range, from), toMs: timeAt(place, range, to) });
    } else if (mark >= 0) props.onMark?.(mark);
    setDrag(null);
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'Escape') setSpot(null);
    const next = stepSpot(heat, spot, event.key);
    if (!next) return;
    event.preventDefault();
    setSpot(next);
  };
  const column = spot ? heat.columns[spot.column] : undefined;
  const told = spot && column ? speakSpot(column, spot.cell, heat, format, countUnit, zone) : null;
  const lacking = column ? lackingText(lackingAt(gaps, column.time * 1e3)) : '';
  const spoken = told && lacking ? { ...told, rows: [...told.rows, ['Not in it', lacking] as const] } : told;
  return (
    <Picture
      name="heatMap"
      kind="heat map"
      title={title}
      summary={summary}
      spoken={spoken ? `${spoken.time}: ${spoken.rows.map(([name, value]) => `${name} ${value}`).join(', ')}` : ''}
      onKeyDown={onKeyDown}
      onBlur={() => setSpot(null)}
      onDoubleClick={props.onZoomOut}
      onMouseMove={onMove}
      onMouseDown={(event) => {
        const { x } = pointer(event);
        setDrag({ from: x, to: x });
      }}
      onMouseUp={onUp}
      onMouseLeave={() => {
        setSpot(null);
        setDrag(null);
        setMark(-1);
      }}
      style={mark >= 0 ? { cursor: 'pointer' } : undefined}
      foot={
        <>
          <GapList gaps={gaps} range={range} zone={zone} />
          <div className="row heatFoot">
            <Ramp most={heat.most} unit={countUnit} scheme={scheme} />
            <span className="soft">
              {heat.kind === 'native' ? 'native histogram' : 'classic buckets'}
              {heat.series > 1 ? `, ${heat.series} series added up` : ''}; lines are p50 and p99
            </span>
            <span className="grow" />
            <div className="group" role="group" aria-label="Value axis">
              {(['log', 'linear'] as const).map((kind) => (
                <button
                  key={kind}
                  type="button"
                  className="btn"
                  aria-pressed={props.scale === kind}
                  onClick={() => props.onScale(kind)}
                >
                  {kind === 'log' ? 'Log' : 'Linear'}
                </button>
              ))}
            </div>
          </div>
        </>
      }
    >
      <canvas ref={canvas} style={{ height }} aria-hidden="true" />
      {marks[mark] ? (
        <MarkTip canvas={canvas.current} mark={marks[mark]} format={format} scale={scale} range={range} zone={zone} />
      ) : spoken && spot && column ? (
        <Tip canvas={canvas.current} spoken={spoken} column={column} spot={spot} scale={scale} range={range} />
      ) : null}
    </Picture>
  );
}

export function Ramp({ most, unit, scheme }: { most: number; unit: Unit; scheme: string }) {
  // The ramp is read off the sheet of the scheme that is on: a key by scheme draws it anew.
  const stops = useMemo(() => Array.from({ length: 9 }, (_, i) => colours()(i / 8)), [scheme]);
  return (
    <span className="row heatRamp num" aria-label={`Shades from 0 to ${formatValue(most, unit)}`} role="img">
      0
      <span className="heatRampBar" style={{ background: `linear-gradient(90deg, ${stops.join(', ')})` }} />
      {formatValue(most, unit)}
    </span>
  );
}

function describe(heat: Heat, unit: Unit): string {
  const last = heat.columns[heat.columns.length - 1];
  if (!last) return 'No data in this range.';
  const parts = HEAT_LINES.map((q) => {
    const value = quantileOf(last, q, heat.kind);
    return value === null ? '' : `p${q * 100} ${formatValue(value, unit)}`;
  });
  return `Heat map of ${heat.columns.length} steps; at the last one ${parts.filter(Boolean).join(', ')}.`;
}
