/** Traces as points: start time across, duration up on a log scale. The result list below is its table. */
import { useComputedColorScheme } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import { resolveColour } from '../../chart/options';
import { type Surface, useCanvas } from '../../chart/useCanvas';
import { niceStep } from '../../lib/steps';
import type { Range, Zone } from '../../lib/time';
import { formatDateTimeMs, formatDurationUs, formatTick } from '../../lib/timeformat';
import { type Found, foundName } from '../../lib/found';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useSetRange } from '../../state/view';

interface Props {
  traces: readonly Found[];
  range: Range;
  zone: Zone;
}

const LEFT = 58;
const BOTTOM = 20;
const RIGHT = 10;
const TOP = 8;
/** How near, in pixels, the pointer must be to mean a point. */
const NEAR = 10;

interface Scales {
  x: (ms: number) => number;
  y: (us: number) => number;
  xInverse: (px: number) => number;
  lowLog: number;
  highLog: number;
}

function scales(traces: readonly Found[], range: Range, width: number, height: number): Scales {
  const logs = traces.map((one) => Math.log10(Math.max(one.durationUs, 1)));
  const lowLog = Math.floor(Math.min(...logs));
  const highLog = Math.max(Math.ceil(Math.max(...logs)), lowLog + 1);
  const plotWidth = width - LEFT - RIGHT;
  const plotHeight = height - TOP - BOTTOM;
  return {
    x: (ms) => LEFT + ((ms - range.fromMs) / (range.toMs - range.fromMs)) * plotWidth,
    y: (us) => TOP + plotHeight - ((Math.log10(Math.max(us, 1)) - lowLog) / (highLog - lowLog)) * plotHeight,
    xInverse: (px) => range.fromMs + ((px - LEFT) / plotWidth) * (range.toMs - range.fromMs),
    lowLog,
    highLog,
  };
}

export function Scatter({ traces, range, zone }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const navigate = useNavigate();
  const setRange = useSetRange();
  const scheme = useComputedColorScheme('light');
  const [hover, setHover] = useState<number>(-1);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const summary = useMemo(() => describe(traces), [traces]);
  useCanvas(canvas, (surface) => paint(surface, traces, range, zone, hover, drag, scheme));

  const at = (event: React.MouseEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return { px: event.clientX - box.left, py: event.clientY - box.top, width: box.width, height: box.height };
  };
  const nearest = (event: React.MouseEvent) => {
    const { px, py, width, height } = at(event);
    const s = scales(traces, range, width, height);
    let best = -1;
    let distance = NEAR * NEAR;
    traces.forEach((one, i) => {
      const d = (s.x(one.startMs) - px) ** 2 + (s.y(one.durationUs) - py) ** 2;
      if (d < distance) [best, distance] = [i, d];
    });
    return best;
  };
  const onUp = (event: React.MouseEvent) => {
    const chosen = drag;
    setDrag(null);
    if (chosen && Math.abs(chosen.to - chosen.from) > 6) {
      const { width, height } = at(event);
      const s = scales(traces, range, width, height);
      setRange({
        fromMs: s.xInverse(Math.min(chosen.from, chosen.to)),
        toMs: s.xInverse(Math.max(chosen.from, chosen.to)),
      });
      return;
    }
    const hit = traces[nearest(event)];
    if (hit)
      void navigate({ to: '/trace/$id', params: { id: hit.id }, search: (before: CommonSearch) => pickCommon(before) });
  };
  const shown = traces[hover];
  return (
    <figure className="scatter" aria-label={`Trace durations over time. ${summary}`}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Trace durations over time. ${summary} The list below has every trace.`}
        onMouseMove={(event) => {
          setHover(nearest(event));
          if (drag) setDrag({ ...drag, to: at(event).px });
        }}
        onMouseLeave={() => {
          setHover(-1);
          setDrag(null);
        }}
        onMouseDown={(event) => {
          const { px } = at(event);
          setDrag({ from: px, to: px });
        }}
        onMouseUp={onUp}
        style={{ cursor: hover >= 0 ? 'pointer' : 'crosshair' }}
      />
      {shown ? (
        <div className="scatterTip data" aria-hidden="true">
          {formatDateTimeMs(shown.startMs, zone)} · {foundName(shown).service} {foundName(shown).operation} ·{' '}
          <strong>{formatDurationUs(shown.durationUs)}</strong> · {shown.spans || shown.matched} spans
          {shown.errors > 0 ? ` · ${shown.errors} errors` : ''}
        </div>
      ) : null}
    </figure>
  );
}

function describe(traces: readonly Found[]): string {
  const sorted = traces.map((one) => one.durationUs).sort((a, b) => a - b);
  const at = (q: number) => formatDurationUs(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0);
  return `${traces.length} traces, median ${at(0.5)}, 95th percentile ${at(0.95)}, longest ${formatDurationUs(sorted[sorted.length - 1] ?? 0)}.`;
}

function paint(
  { context: c, width, height }: Surface,
  traces: readonly Found[],
  range: Range,
  zone: Zone,
  hover: number,
  drag: { from: number; to: number } | null,
  _scheme: string,
): void {
  if (traces.length === 0 || width < 120) return;
  const s = scales(traces, range, width, height);
  c.font = '11px system-ui, "DejaVu Sans", sans-serif';
  c.strokeStyle = resolveColour('var(--chart-grid)');
  c.fillStyle = resolveColour('var(--fg-faint)');
  c.textAlign = 'right';
  c.textBaseline = 'middle';
  for (let log = s.lowLog; log <= s.highLog; log += 1) {
    const y = Math.round(s.y(10 ** log)) + 0.5;
    line(c, LEFT, y, width - RIGHT, y);
    c.fillText(formatDurationUs(10 ** log), LEFT - 6, y);
  }
  c.textAlign = 'center';
  const tickMs = niceStep(range.toMs - range.fromMs, Math.max(2, Math.floor(width / 110))) * 1e3;
  for (let t = Math.ceil(range.fromMs / tickMs) * tickMs; t <= range.toMs; t += tickMs) {
    const x = Math.round(s.x(t)) + 0.5;
    line(c, x, TOP, x, height - BOTTOM);
    c.fillText(formatTick(t, zone, tickMs), x, height - BOTTOM / 2);
  }
  if (drag) {
    c.fillStyle = resolveColour('var(--chart-select)');
    c.fillRect(Math.min(drag.from, drag.to), TOP, Math.abs(drag.to - drag.from), height - TOP - BOTTOM);
  }
  const good = resolveColour('var(--series-0)');
  const failed = resolveColour('var(--series-4)');
  traces.forEach((one, i) => {
    const x = s.x(one.startMs);
    const y = s.y(one.durationUs);
    const radius = (one.spans > 100 ? 5 : one.spans > 10 ? 4 : 3) + (i === hover ? 2 : 0);
    c.globalAlpha = i === hover ? 1 : 0.75;
    c.fillStyle = one.errors > 0 ? failed : good;
    c.beginPath();
    // Shape says it too: a failed trace is a diamond.
    if (one.errors > 0) {
      c.moveTo(x, y - radius - 1);
      c.lineTo(x + radius + 1, y);
      c.lineTo(x, y + radius + 1);
      c.lineTo(x - radius - 1, y);
    } else c.arc(x, y, radius, 0, 7);
    c.fill();
  });
  c.globalAlpha = 1;
}

function line(c: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  c.beginPath();
  c.moveTo(x1, y1);
  c.lineTo(x2, y2);
  c.stroke();
}
