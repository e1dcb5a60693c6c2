/** A trace that is here: what must be known of it, the tools, one of its views, and the chosen span beside it. */
import { useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import type { Coverage } from '../../api/coverage';
import { assignSlots, slotVariable } from '../../lib/colour';
import { laneGaps } from '../../lib/lanes';
import type { TraceData } from '../../lib/spandata';
import { nextMatch, reveal } from '../../lib/spanfind';
import { type Fold, type Span, type Trace, visibleSpans } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import { parseWindow, type Window, windowText } from '../../lib/zoom';
import { usePatch, useView } from '../../state/view';
import { FlameTab } from './FlameTab';
import { Head } from './Head';
import { Lanes } from './Lanes';
import { Minimap } from './Minimap';
import { Notices } from './Notices';
import { SpanDetail } from './SpanDetail';
import { SpanTable } from './SpanTable';
import { StatsTab } from './StatsTab';
import { Tools } from './Tools';
import { useMatches } from './useMatches';
import { useTraceKeys } from './useTraceKeys';
import { useTraceLogs } from './useTraceLogs';
import { type TraceModel, useTraceModel } from './useTraceModel';
import { Waterfall } from './Waterfall';

export default function LoadedTrace({ data, coverage }: { data: TraceData; coverage: readonly Coverage[] }) {
  const search = useSearch({ from: '/trace/$id' });
  const model = useTraceModel(data, search.clock === 'raw');
  if (model) return <Shown model={model} coverage={coverage} />;
  return (
    <div className="empty" role="status">
      <span className="busy" />
      <p>Putting {formatCount(data.spans.length)} spans together</p>
    </div>
  );
}

function Shown({ model, coverage }: { model: TraceModel; coverage: readonly Coverage[] }) {
  const search = useSearch({ from: '/trace/$id' });
  const { zone } = useView();
  const patch = usePatch();
  const { trace } = model;
  const logs = useTraceLogs(trace);
  const colours = useColours(trace, search.by === 'cluster');
  const gaps = useMemo(() => laneGaps(coverage), [coverage]);
  const fold = useMemo<Fold>(
    () => ({ depth: search.depth, toggled: new Set(search.fold?.split(',') ?? []) }),
    [search.depth, search.fold],
  );
  const matches = useMatches(trace.spans, search.find ?? '');
  const only = search.only && search.find ? matches.found : undefined;
  const rows = useMemo(() => visibleSpans(trace.spans, fold, only), [trace, fold, only]);
  const view = useMemo(() => parseWindow(search.zoom, trace.durationUs), [search.zoom, trace.durationUs]);
  const selected = useMemo(() => trace.spans.findIndex((span) => span.id === search.span), [trace, search.span]);

  const select = (index: number) =>
    patch({ span: trace.spans[index]?.id }, search.span === undefined ? 'push' : 'replace');
  const setWindow = useCallback(
    (next: Window) => patch({ zoom: windowText(next, trace.durationUs) }),
    [patch, trace.durationUs],
  );
  /** Opens what is folded over it first. */
  const goTo = (index: number) => {
    if (index < 0) return;
    const opened = reveal(trace.spans, fold, index);
    const how = search.span === undefined ? 'push' : 'replace';
    patch({ span: trace.spans[index]?.id, fold: foldText(opened) }, how);
  };
  const goToMatch = (step: 1 | -1) => goTo(nextMatch(matches.found, selected, step));
  const goToId = (id: string) => goTo(trace.spans.findIndex((span) => span.id === id));
  const find = (text: string) => patch({ find: text, view: undefined, sort: undefined });
  const toggle = (index: number) => {
    const id = trace.spans[index]?.id;
    if (id === undefined) return;
    const next = new Set(fold.toggled);
    if (!next.delete(id)) next.add(id);
    patch({ fold: foldText({ ...fold, toggled: next }) }, 'replace');
  };
  useTraceKeys(search, patch, goToMatch);
  return (
    <div className="page tracePage">
      <Head
        trace={trace}
        gaps={gaps}
        colour={colours.service}
        onService={(service) => patch({ find: `service=${service}` })}
      />
      <Notices
        trace={trace}
        gaps={gaps}
        skew={model.skew}
        raw={model.raw}
        onRaw={(raw) => patch({ clock: raw ? 'raw' : undefined, zoom: undefined })}
        onMissing={() => {
          const next = trace.gaps.find((index) => index > selected) ?? trace.gaps[0];
          if (next !== undefined) goTo(next);
        }}
      />
      <Lanes
        trace={trace}
        coverage={coverage}
        colour={colours.cluster}
        only={search.only ? /^cluster=(.+)$/.exec(search.find ?? '')?.[1] : undefined}
        onOnly={(cluster) =>
          patch({ find: cluster ? `cluster=${cluster}` : undefined, only: cluster ? 'match' : undefined })
        }
      />
      <Tools trace={trace} logs={logs} matches={matches} selected={selected} onMatch={goToMatch} />
      <div className="traceBody">
        <div className="panel traceMain">
          {search.view === 'table' ? (
            <SpanTable model={model} rows={rows} selected={selected} onSelect={select} />
          ) : search.view === 'stats' ? (
            <StatsTab model={model} only={only} colour={colours.service} onSelect={goTo} onFind={find} />
          ) : search.view === 'flame' ? (
            <FlameTab model={model} matches={matches.found} colour={colours.service} onSelect={goTo} />
          ) : (
            <>
              <Minimap trace={trace} window={view} colour={colours.span} onWindow={setWindow} />
              <Waterfall
                trace={trace}
                rows={rows}
                window={view}
                fold={fold}
                selected={selected}
                matches={matches.found}
                path={search.path === 'off' ? undefined : model.sections}
                colour={colours.span}
                stripe={colours.stripe}
                onSelect={select}
                onToggle={toggle}
                onFoldAll={(folded) => patch({ depth: folded ? 0 : undefined, fold: undefined }, 'replace')}
                onWindow={setWindow}
              />
            </>
          )}
        </div>
        {selected >= 0 ? (
          <SpanDetail
            model={model}
            index={selected}
            logs={logs}
            zone={zone}
            onSpan={goToId}
            onZoom={(span) => patch({ view: undefined, zoom: zoomText(span, trace) })}
            onClose={() => patch({ span: undefined })}
          />
        ) : null}
      </div>
    </div>
  );
}

/** Folds that an address holds; the oldest are forgotten first. */
const MOST_FOLDS = 200;

function foldText({ toggled }: Fold): string | undefined {
  return [...toggled].filter(Boolean).slice(-MOST_FOLDS).join(',') || undefined;
}

/** A span with some air on both sides. */
function zoomText(span: Span, trace: Trace): string | undefined {
  const air = Math.max(span.durationUs * 0.05, 1);
  return windowText({ from: span.startUs - air, to: span.startUs + span.durationUs + air }, trace.durationUs);
}

function useColours(trace: Trace, wantCluster: boolean) {
  return useMemo(() => {
    const services = assignSlots(trace.services);
    const clusters = assignSlots(trace.clusters);
    const many = trace.clusters.length > 1;
    const service = (name: string) => slotVariable(services.get(name) ?? 0);
    const cluster = (name: string) => slotVariable(clusters.get(name) ?? 0);
    const ofCluster = (span: Span) => cluster(span.cluster);
    return {
      service,
      cluster,
      span: many && wantCluster ? ofCluster : (span: Span) => service(span.service),
      stripe: many ? ofCluster : undefined,
    };
  }, [trace, wantCluster]);
}
