/** One metric: what it is, a graph that suits its type, split by any of its labels with one click. */
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { findSeries, queryInstant } from '../../api/prom';
import { analyse } from '../../lib/cardinality';
import {
  type Entry,
  expressions,
  KIND_NAMES,
  observedInterval,
  rateInterval,
  USUAL_INTERVAL,
  type ViewDef,
  viewOf,
  viewsOf,
} from '../../lib/catalog';
import { narrow, parseSelector, selector } from '../../lib/promtext';
import { niceStep, promDuration } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { CloseIcon } from '../../shell/icons';
import { useAnswer } from '../../state/answers';
import type { CatalogSearch, CommonSearch } from '../../state/search';
import { pickCommon, usePatch, useView } from '../../state/view';
import { MetricChart } from './MetricChart';
import { Splits } from './Splits';

interface Props {
  name: string;
  entry: Entry | undefined;
  loading: boolean;
  series: number | null;
}

/** Series read for the list of labels; more would not change which labels there are. */
const READ_SERIES = 2000;
const POINTS = 360;
const INTERVAL_WINDOW_S = 300;

const CLOSED = { metric: undefined, view: undefined, by: undefined, where: undefined, solo: undefined };

export function MetricDetail({ name, entry, loading, series }: Props) {
  if (entry) return <Known entry={entry} series={series} />;
  return (
    <section className="panel metricDetail" aria-label={`Metric ${name}`}>
      <Head name={name} />
      {loading ? (
        <div className="empty detailWait">
          <span className="busy" />
        </div>
      ) : (
        <div className="empty">
          <h2>No samples in this range</h2>
          <p>This metric has none here, or the filters above leave it out. Widen the range, or clear the filters.</p>
        </div>
      )}
    </section>
  );
}

function Head({ name, children }: { name: string; children?: React.ReactNode }) {
  const patch = usePatch();
  return (
    <div className="detailHead">
      <div className="row">
        <h2 className="grow">{name}</h2>
        <button type="button" className="btn quiet" aria-label="Close the metric" onClick={() => patch(CLOSED)}>
          <CloseIcon />
        </button>
      </div>
      {children}
    </div>
  );
}

function Known({ entry, series }: { entry: Entry; series: number | null }) {
  const search = useSearch({ from: '/metrics/catalog' });
  const { range, asker, from, to, nowMs } = useView();
  const patch = usePatch();
  const view = viewOf(entry, search.view);
  const matchers = useMemo(() => parseSelector(`{${search.where ?? ''}}`)?.matchers ?? [], [search.where]);
  const probe = selector(entry.names[0] ?? entry.name, matchers);
  const interval = useAnswer(['interval', probe, asker, from, to, nowMs], (signal) =>
    queryInstant(`max(count_over_time(${probe}[${promDuration(INTERVAL_WINDOW_S)}]))`, range.toMs, {
      ...asker,
      signal,
    }),
  );
  const labels = useAnswer(['labels of', probe, asker, from, to, nowMs], (signal) =>
    findSeries(probe, READ_SERIES, { ...asker, signal }, range),
  );
  const found = useMemo(() => analyse(labels.data?.data ?? []), [labels.data]);
  const step = niceStep(range.toMs - range.fromMs, POINTS);
  const apart = interval.data
    ? observedInterval(interval.data.data.series[0]?.values[0], INTERVAL_WINDOW_S)
    : interval.error
      ? USUAL_INTERVAL
      : null;
  const by = search.by ? [search.by] : [];
  const split = (label: string | undefined) => {
    // Heat maps beside each other cannot be compared: splitting one shows its percentile by label.
    const next = view.key === 'heat' ? 'quantiles' : view.key === 'raw' ? undefined : search.view;
    patch({ by: label, view: label ? next : search.view, solo: undefined });
  };
  return (
    <section className="panel metricDetail" aria-label={`Metric ${entry.name}`}>
      <Head name={entry.name}>
        <div className="row detailHelp">
          <span className="tag">{entry.kind === 'native' ? 'native histogram' : KIND_NAMES[entry.kind]}</span>
          {entry.unit ? <span className="soft">{entry.unit}</span> : null}
          {series === null ? null : <span className="soft">{formatCount(series)} series</span>}
          {apart === null ? null : <span className="soft">a sample every {promDuration(apart)}</span>}
        </div>
        <p className="detailHelp">{entry.help || <span className="soft">No help was sent with it.</span>}</p>
      </Head>
      <div className="detailTools">
        <ViewPicker views={viewsOf(entry)} shown={view} />
        <span className="grow" />
        <Actions entry={entry} search={search} view={view} ask={{ by, matchers, step, apart }} />
      </div>
      <p className="detailSays soft">
        {view.label}: {view.says}
      </p>
      {apart === null ? (
        <div className="empty detailWait">
          <span className="busy" />
        </div>
      ) : (
        <MetricChart
          entry={entry}
          view={view}
          ask={{ by, matchers, stepSeconds: step, rateSeconds: rateInterval(step, apart) }}
        />
      )}
      <Splits
        analysis={found}
        truncated={(labels.data?.data.length ?? 0) >= READ_SERIES}
        by={search.by}
        matchers={matchers}
        onSplit={split}
        onNarrow={(more) => patch({ where: whereText(narrow(matchers, more)), solo: undefined })}
        onWiden={(less) => patch({ where: whereText(matchers.filter((one) => one !== less)), solo: undefined })}
      />
    </section>
  );
}

function whereText(matchers: Parameters<typeof selector>[1]): string | undefined {
  return selector('', matchers).slice(1, -1) || undefined;
}

function ViewPicker({ views, shown }: { views: readonly ViewDef[]; shown: ViewDef }) {
  const patch = usePatch();
  return (
    <div className="group" role="group" aria-label="Draw as">
      {views.map((one, i) => (
        <button
          key={one.key}
          type="button"
          className="btn"
          aria-pressed={one.key === shown.key}
          title={one.says}
          onClick={() =>
            patch({
              view: i === 0 ? undefined : one.key,
              // Neither shows series by label: the raw ones are each their own.
              ...(one.key === 'heat' || one.key === 'raw' ? { by: undefined } : {}),
              solo: undefined,
            })
          }
        >
          {one.label}
        </button>
      ))}
    </div>
  );
}

interface ActionProps {
  entry: Entry;
  search: CatalogSearch;
  view: ViewDef;
  ask: { by: string[]; matchers: ReturnType<typeof narrow>; step: number; apart: number | null };
}

function Actions({ entry, search, view, ask }: ActionProps) {
  const patch = usePatch();
  const stepSeconds = ask.step;
  const rateSeconds = rateInterval(stepSeconds, ask.apart ?? USUAL_INTERVAL);
  const exprs = expressions(entry, view.key, { ...ask, stepSeconds, rateSeconds }).map((one) => one.expr);
  const tabs = view.key === 'heat' ? 'h' : undefined;
  return (
    <div className="row">
      {view.key === 'raw' || view.key === 'series' ? null : (
        <button
          type="button"
          className="btn"
          aria-pressed={search.ex !== undefined}
          onClick={() => patch({ ex: search.ex === undefined ? 'on' : undefined }, 'replace')}
        >
          Exemplars
        </button>
      )}
      <Link
        to="/metrics/cardinality"
        search={(before: CommonSearch) => ({
          ...pickCommon(before),
          match: selector(entry.names[0] ?? entry.name, ask.matchers),
        })}
        className="btn"
      >
        Cardinality
      </Link>
      <Link
        to="/metrics"
        search={(before: CommonSearch) => ({
          ...pickCommon(before),
          q: exprs,
          tabs,
          ex: search.ex,
          scale: search.scale,
        })}
        className="btn primary"
      >
        Open as query
      </Link>
    </div>
  );
}
