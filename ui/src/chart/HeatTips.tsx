/** What stands beside the pointer on a heat map: a cell in words, or an exemplar. */
import type { HeatColumn, Scale } from '../lib/heat';
import type { Range, Zone } from '../lib/time';
import { formatDateTime } from '../lib/timeformat';
import { markPlace, placeOf, xOf, yOf } from './heatPaint';
import type { Mark } from './marks';

export interface Spot {
  column: number;
  cell: number;
}

export interface Spoken {
  time: string;
  rows: (readonly [string, string])[];
}

interface TipProps {
  canvas: HTMLCanvasElement | null;
  spoken: Spoken;
  column: HeatColumn;
  spot: Spot;
  scale: Scale;
  range: Range;
}

export function Tip({ canvas, spoken, column, spot, scale, range }: TipProps) {
  if (!canvas) return null;
  const place = placeOf(canvas.clientWidth, canvas.clientHeight);
  const x = xOf(place, range, column.time);
  const cell = column.cells[spot.cell];
  const y = cell ? yOf(place, (scale.at(cell.low) + scale.at(cell.high)) / 2) : place.top;
  const side = x > canvas.clientWidth / 2 ? { right: canvas.clientWidth - x + 16 } : { left: x + 14 };
  return (
    <div className="timeTooltip heatTip" style={{ ...side, top: Math.min(y, place.bottom - 120) }} aria-hidden="true">
      <div className="timeTooltipTime">{spoken.time}</div>
      {spoken.rows.map(([name, value]) => (
        <div key={name} className="timeTooltipRow">
          <span className="soft grow">{name}</span>
          <span className="num">{value}</span>
        </div>
      ))}
    </div>
  );
}

interface MarkTipProps {
  canvas: HTMLCanvasElement | null;
  mark: Mark;
  format: (value: number) => string;
  scale: Scale;
  range: Range;
  zone: Zone;
}

export function MarkTip({ canvas, mark, format, scale, range, zone }: MarkTipProps) {
  if (!canvas) return null;
  const place = placeOf(canvas.clientWidth, canvas.clientHeight);
  const [x, y] = markPlace(place, { scale, range }, mark);
  const side = x > canvas.clientWidth / 2 ? { right: canvas.clientWidth - x + 16 } : { left: x + 14 };
  return (
    <div className="timeTooltip heatTip" style={{ ...side, top: Math.min(y, place.bottom - 100) }} aria-hidden="true">
      <div className="timeTooltipTime">{formatDateTime(mark.time * 1e3, zone)}</div>
      {[['Exemplar', format(mark.value)] as const, ...mark.rows].map(([name, value]) => (
        <div key={name} className="timeTooltipRow">
          <span className="soft">{name}</span>
          <span className="clip grow data num">{value}</span>
        </div>
      ))}
      {mark.hint ? <div className="faint">{mark.hint}</div> : null}
    </div>
  );
}
