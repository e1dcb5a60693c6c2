/** Ingest over the range, a chart per signal, so that a gap is seen without asking for it. */
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Coverage } from '../../api/coverage';
import type { Series } from '../../api/prom';
import { TimeChart } from '../../chart/TimeChart';
import { assignSlots, slotVariable } from '../../lib/colour';
import { capSeries, toColumns } from '../../lib/series';
import { useGaps } from '../../state/gaps';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useRangeMoves, useSetRange, useView } from '../../state/view';

interface Props {
  series: readonly Series[];
  step: number;
  nodes: number;
  coverage: readonly Coverage[];
}

/** Lines in one small chart: with more nodes the busiest are drawn and the title says so. */
const MOST = 12;
const OWN: Record<string, string> = { metrics: 'var(--series-0)', logs: 'var(--series-2)', traces: 'var(--series-3)' };
const SIGNALS = Object.keys(OWN);

export function RateCharts({ series, step, nodes, coverage }: Props) {
  const shown = SIGNALS.filter((signal) => series.some((one) => one.labels.signal === signal));
  if (shown.length === 0) return null;
  return (
    <section className="rateCharts" aria-label="Ingest rates">
      {shown.map((signal) => (
        <RateChart
          key={signal}
          signal={signal}
          step={step}
          nodes={nodes}
          coverage={coverage}
          series={series.filter((one) => one.labels.signal === signal)}
        />
      ))}
    </section>
  );
}

function RateChart({ signal, series, step, nodes, coverage }: Props & { signal: string }) {
  const { range, zone } = useView();
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const gaps = useGaps(coverage);
  const shaped = useMemo(() => {
    const capped = capSeries(series, MOST);
    const names = capped.shown.map(
      (one) => [one.labels.cluster, one.labels.replica].filter(Boolean).join('/') || 'local',
    );
    const slots = assignSlots(names);
    const colours =
      names.length === 1 ? [OWN[signal] ?? slotVariable(0)] : names.map((name) => slotVariable(slots.get(name) ?? 0));
    return { names, total: capped.total, colours, columns: toColumns(capped.shown, step) };
  }, [series, step, signal]);
  const more =
    shaped.total > shaped.names.length
      ? `, the busiest ${shaped.names.length} of ${shaped.total} nodes`
      : nodes > 1
        ? ' by node'
        : '';
  return (
    <div className="panel rateChart">
      <div className="row rateChartHead">
        <h2>
          {signal} per second{more}
        </h2>
        <span className="grow" />
        <Link
          to="/metrics"
          className="linkish"
          aria-label={`${signal} per second as values`}
          search={(before: CommonSearch) => ({
            ...pickCommon(before),
            q: [`sum by (cluster, replica) (rate(orrery_store_items_accepted_total{signal="${signal}"}[1m]))`],
            tabs: 'v',
          })}
        >
          Values
        </Link>
      </div>
      <TimeChart
        title={`${signal} per second`}
        columns={shaped.columns}
        names={shaped.names}
        colours={shaped.colours}
        unit="ps"
        zone={zone}
        kind="line"
        height={170}
        fromZero
        range={range}
        gaps={gaps}
        onZoom={setRange}
        onZoomOut={moves.out}
      />
    </div>
  );
}
