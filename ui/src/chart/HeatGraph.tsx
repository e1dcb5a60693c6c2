/** The range answer of a query as a heat map, or what an answer needs to become one. */
import { useMemo } from 'react';
import type { Coverage } from '../api/coverage';
import type { Series } from '../api/prom';
import { toHeat } from '../lib/heat';
import { guessUnit, type Unit } from '../lib/units';
import { useGaps } from '../state/gaps';
import { usePatch, useRangeMoves, useSetRange, useView } from '../state/view';
import { HeatMap } from './HeatMap';
import type { Mark } from './marks';

interface Props {
  expr: string;
  series: readonly Series[];
  step: number;
  coverage: readonly Coverage[] | undefined;
  scale: 'lin' | undefined;
  height?: number;
  unit?: Unit | undefined;
  marks?: readonly Mark[] | undefined;
  onMark?: ((index: number) => void) | undefined;
}

export function HeatGraph({ expr, series, step, coverage, scale, height = 300, unit, marks, onMark }: Props) {
  const { range, zone } = useView();
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const patch = usePatch();
  const gaps = useGaps(coverage);
  const heat = useMemo(() => toHeat(series), [series]);
  if (!heat) {
    return (
      <div className="empty queryEmpty">
        <p>
          A heat map is drawn from native histograms, or from classic buckets that keep their <code>le</code> label, as
          in <code>sum by (le) (rate(http_request_duration_seconds_bucket[5m]))</code>.
        </p>
      </div>
    );
  }
  return (
    <HeatMap
      title={expr}
      heat={heat}
      unit={unit ?? unitOfValues(expr)}
      countUnit={unitOfCounts(expr)}
      zone={zone}
      range={range}
      gaps={gaps}
      stepSeconds={step}
      height={height}
      scale={scale === 'lin' ? 'linear' : 'log'}
      onScale={(kind) => patch({ scale: kind === 'linear' ? 'lin' : undefined }, 'replace')}
      onZoom={setRange}
      onZoomOut={moves.out}
      marks={marks}
      onMark={onMark}
    />
  );
}

/** Of what was observed, which a rate of counts does not change. */
export function unitOfValues(expr: string): Unit {
  return guessUnit(expr.replace(/\b(i?rate|increase|sum|count)\b/g, '').replace(/_bucket\b/g, ''));
}

/** Of how often it was observed. */
export function unitOfCounts(expr: string): Unit {
  return /\bi?rate\s*\(/.test(expr) ? 'ps' : 'short';
}
