/**
 * A chart over time: figure with a name and a spoken summary, drag to zoom, double click to zoom out, arrow keys to
 * walk the samples, one tooltip. Values per instant as a table are its twin, `ValueTable`.
 */
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { type Gap, gapSummary, lackingAt, lackingText } from '../lib/gaps';
import { type Columns, stack, summarise } from '../lib/series';
import type { Range } from '../lib/time';
import { formatDateTime } from '../lib/timeformat';
import { formatValue } from '../lib/units';
import { GapList } from './GapList';
import { bandsOf, paintHatch } from './hatch';
import { type Mark, markAt, paintMarks } from './marks';
import { buildOptions, type Look } from './options';
import { Picture } from './Picture';
import './chart.css';

interface Props extends Look {
  title: string;
  columns: Columns;
  range: Range;
  onZoom: (range: Range) => void;
  onZoomOut: () => void;
  /** Index of the series to bring forward. */
  focus?: number | undefined;
  /** Single observations on top of the lines. */
  marks?: readonly Mark[] | undefined;
  onMark?: ((index: number) => void) | undefined;
  /** What the answer lacks: hatched, named below, and said. */
  gaps?: readonly Gap[] | undefined;
  /** The gaps are named beside the chart already. */
  quietGaps?: boolean;
}

const NO_MARKS: readonly Mark[] = [];
const NO_GAPS: readonly Gap[] = [];

export function TimeChart({ title, columns, range, onZoom, onZoomOut, focus, marks, onMark, gaps, ...more }: Props) {
  const { quietGaps, ...look } = more;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme('light');
  const [at, setAt] = useState<number | null>(null);
  const [mark, setMark] = useState(-1);
  const shownMarks = marks ?? NO_MARKS;
  const lacking = gaps ?? NO_GAPS;
  const summary = useMemo(
    () => describe(columns, look) + gapSummary(lacking, range, look.zone),
    [columns, look, lacking, range],
  );
  const drawn = useMemo(() => (look.kind === 'bars' ? stackForBars(columns) : columns), [columns, look.kind]);
  const callbacks = useRef({ onZoom, marks: shownMarks, mark, gaps: lacking, range });
  useEffect(() => {
    callbacks.current = { onZoom, marks: shownMarks, mark, gaps: lacking, range };
  });

  const structure = `${scheme}\u0000${look.kind}\u0000${look.unit}\u0000${look.zone}\u0000${look.height}\u0000${look.names.join('\u0001')}\u0000${look.colours.join()}`;
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const ordered =
      look.kind === 'bars' ? { ...look, names: [...look.names].reverse(), colours: [...look.colours].reverse() } : look;
    const made = new uPlot(
      buildOptions(ordered, Math.max(element.clientWidth, 80), {
        onZoom: (fromS, toS) => callbacks.current.onZoom({ fromMs: fromS * 1e3, toMs: toS * 1e3 }),
        onCursor: (self) => {
          setAt(self.cursor.idx ?? null);
          setMark(markAt(self, callbacks.current.marks));
        },
        onBack: (self) => paintGaps(self, callbacks.current.gaps, callbacks.current.range),
        onDraw: (self) => paintMarks(self, callbacks.current.marks, callbacks.current.mark),
      }),
      [[], ...look.names.map(() => [])],
      element,
    );
    plot.current = made;
    const resize = new ResizeObserver(() =>
      made.setSize({ width: Math.max(element.clientWidth, 80), height: look.height }),
    );
    resize.observe(element);
    return () => {
      resize.disconnect();
      made.destroy();
      plot.current = null;
    };
    // `structure` names everything of `look` that the options are built from.
  }, [structure]);

  useEffect(() => {
    const made = plot.current;
    if (!made) return;
    made.batch(() => {
      made.setData(drawn as uPlot.AlignedData, false);
      made.setScale('x', { min: range.fromMs / 1e3, max: range.toMs / 1e3 });
    });
  }, [drawn, range.fromMs, range.toMs, structure]);

  useEffect(() => {
    plot.current?.setSeries(focus === undefined ? null : focus + 1, { focus: focus !== undefined });
  }, [focus, structure]);

  useEffect(() => {
    plot.current?.redraw(false);
  }, [shownMarks, mark, lacking, structure]);

  const onKeyDown = (event: React.KeyboardEvent) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    const made = plot.current;
    const times = columns[0];
    if (event.key === 'Escape') setAt(null);
    if (step === 0 || !made || times.length === 0) return;
    event.preventDefault();
    const next = Math.min(Math.max((at ?? (step > 0 ? -1 : times.length)) + step, 0), times.length - 1);
    made.setCursor({ left: made.valToPos(times[next] ?? 0, 'x'), top: made.over.clientHeight / 2 });
  };

  return (
    <Picture
      name="timeChart"
      kind="chart"
      title={title}
      summary={summary}
      spoken={at !== null ? speak(at, columns, look, lacking) : ''}
      onKeyDown={onKeyDown}
      onBlur={() => setAt(null)}
      onDoubleClick={onZoomOut}
      onMouseLeave={() => {
        setAt(null);
        setMark(-1);
      }}
      onClick={mark >= 0 && onMark ? () => onMark(mark) : undefined}
      style={mark >= 0 && onMark ? { cursor: 'pointer' } : undefined}
      foot={quietGaps ? null : <GapList gaps={lacking} range={range} zone={look.zone} />}
    >
      <div ref={host} className={mark >= 0 ? 'onMark' : undefined} />
      {shownMarks[mark] ? (
        <MarkTip mark={shownMarks[mark]} look={look} plot={plot.current} />
      ) : at !== null ? (
        <Tooltip at={at} columns={columns} look={look} plot={plot.current} gaps={lacking} />
      ) : null}
    </Picture>
  );
}

function paintGaps(plot: uPlot, gaps: readonly Gap[], range: Range): void {
  if (gaps.length === 0) return;
  const { top, height } = plot.bbox;
  const bands = bandsOf(gaps, range, (ms) => plot.valToPos(ms / 1e3, 'x', true));
  paintHatch(plot.ctx, bands, top, top + height, window.devicePixelRatio || 1);
}

/** Bars stand on each other; the tallest total is painted first so that the smaller sums stay visible in front. */
function stackForBars(columns: Columns): Columns {
  const [times, ...sums] = stack(columns);
  return [times, ...sums.reverse()];
}

function describe(columns: Columns, look: Look): string {
  const [times, ...rest] = columns;
  if (times.length === 0) return 'No data in this range.';
  const parts = rest.slice(0, 3).map((column, i) => {
    const s = summarise(column);
    return s
      ? `${look.names[i] ?? ''}: last ${formatValue(s.last, look.unit)}, lowest ${formatValue(s.min, look.unit)}, highest ${formatValue(s.max, look.unit)}`
      : `${look.names[i] ?? ''}: no values`;
  });
  const more = rest.length > 3 ? ` and ${rest.length - 3} more` : '';
  return `${rest.length} series${rest.length > 0 ? `; ${parts.join('; ')}${more}` : ''}.`;
}

interface Value {
  index: number;
  value: number;
}

function valuesAt(at: number, columns: Columns): Value[] {
  return columns
    .slice(1)
    .map((column, index) => ({ index, value: column[at] ?? null }))
    .filter((one): one is Value => one.value !== null)
    .sort((a, b) => b.value - a.value);
}

/** Rows of a tooltip before it says how many are left. */
const TOOLTIP_ROWS = 10;

interface TooltipProps {
  at: number;
  columns: Columns;
  look: Look;
  plot: uPlot | null;
  gaps: readonly Gap[];
}

function Tooltip({ at, columns, look, plot, gaps }: TooltipProps) {
  const time = columns[0][at];
  if (time === undefined || !plot) return null;
  const values = valuesAt(at, columns);
  const lacking = lackingText(lackingAt(gaps, time * 1e3));
  if (values.length === 0 && lacking === '') return null;
  const left = plot.valToPos(time, 'x') + plot.over.offsetLeft;
  const onRight = left > plot.width / 2;
  const style = onRight ? { right: plot.width - left + 12 } : { left: left + 12 };
  return (
    <div className="timeTooltip" style={style} aria-hidden="true">
      <div className="timeTooltipTime">{formatDateTime(time * 1e3, look.zone)}</div>
      {values.slice(0, TOOLTIP_ROWS).map((one) => (
        <div key={one.index} className="timeTooltipRow">
          <span className="swatch" style={{ background: look.colours[one.index] }} />
          <span className="clip grow">{look.names[one.index]}</span>
          <span className="num">{formatValue(one.value, look.unit)}</span>
        </div>
      ))}
      {values.length > TOOLTIP_ROWS ? <div className="faint">and {values.length - TOOLTIP_ROWS} lower</div> : null}
      {lacking ? <div className="warn">not in it: {lacking}</div> : null}
    </div>
  );
}

function MarkTip({ mark, look, plot }: { mark: Mark; look: Look; plot: uPlot | null }) {
  if (!plot) return null;
  const left = plot.valToPos(mark.time, 'x') + plot.over.offsetLeft;
  const style = left > plot.width / 2 ? { right: plot.width - left + 14 } : { left: left + 14 };
  return (
    <div className="timeTooltip" style={style} aria-hidden="true">
      <div className="timeTooltipTime">{formatDateTime(mark.time * 1e3, look.zone)}</div>
      {[['Exemplar', formatValue(mark.value, look.unit)] as const, ...mark.rows].map(([name, value]) => (
        <div key={name} className="timeTooltipRow">
          <span className="soft">{name}</span>
          <span className="clip grow data num">{value}</span>
        </div>
      ))}
      {mark.hint ? <div className="faint">{mark.hint}</div> : null}
    </div>
  );
}

function speak(at: number, columns: Columns, look: Look, gaps: readonly Gap[]): string {
  const time = columns[0][at];
  if (time === undefined) return '';
  const values = valuesAt(at, columns)
    .slice(0, 3)
    .map((one) => `${look.names[one.index] ?? ''} ${formatValue(one.value, look.unit)}`);
  const lacking = lackingText(lackingAt(gaps, time * 1e3));
  const said = `${formatDateTime(time * 1e3, look.zone)}: ${values.join(', ') || 'no values'}`;
  return lacking ? `${said}; not in it: ${lacking}` : said;
}
