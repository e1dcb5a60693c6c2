/** One trace: facts, the whole in a strip, the waterfall or its table, and the chosen span beside it. */
import { Link, useParams, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import type { Coverage } from '../../api/coverage';
import { traceById, type WireTrace } from '../../api/jaeger';
import { ApiError } from '../../api/http';
import { assignSlots, slotVariable } from '../../lib/colour';
import { type LaneGap, laneGaps } from '../../lib/lanes';
import { formatDateTimeMs, formatDurationUs } from '../../lib/timeformat';
import { buildTrace, findSpans, type Fold, selfTimes, type Span, type Trace, visibleSpans } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import { parseWindow, type Window, windowText } from '../../lib/zoom';
import { Problem } from '../../parts/Problem';
import { WarnIcon } from '../../shell/icons';
import { useAnswer } from '../../state/answers';
import type { CommonSearch } from '../../state/search';
import { pickCommon, usePatch, useView } from '../../state/view';
import { Lanes } from './Lanes';
import { Minimap } from './Minimap';
import { logsOf, SpanDetail } from './SpanDetail';
import { SpanTable } from './SpanTable';
import { Waterfall } from './Waterfall';
import './trace.css';

export default function TracePage() {
  const { id } = useParams({ from: '/trace/$id' });
  const { asker } = useView();
  const answer = useAnswer(['trace', id, asker], (signal) => traceById(id, { ...asker, signal }), { staleMs: 30_000 });
  // The previous trace stays as a placeholder while the next loads; under the new address it would be a lie.
  const wire = answer.isPlaceholderData ? undefined : answer.data?.data;
  const gone = wire === null || (answer.error instanceof ApiError && answer.error.status === 404);
  if (gone) {
    const coverage = answer.error instanceof ApiError ? answer.error.coverage : (answer.data?.coverage ?? []);
    const gaps = laneGaps(coverage);
    if (gaps.length > 0) return <NotAmong id={id} gaps={gaps} onRetry={() => void answer.refetch()} />;
    return (
      <div className="empty">
        <h2>No trace {id}</h2>
        <p>It may be older than the retention of traces, not sampled, or still on its way: refresh in a few seconds.</p>
        <Link to="/traces" search={(before: CommonSearch) => pickCommon(before)} className="btn">
          Search traces
        </Link>
      </div>
    );
  }
  if (answer.error)
    return (
      <div className="page">
        <Problem error={answer.error} onRetry={() => void answer.refetch()} />
      </div>
    );
  return wire ? (
    <Loaded wire={wire} coverage={answer.data?.coverage ?? []} />
  ) : (
    <div className="empty">
      <span className="busy" />
    </div>
  );
}

/** Nobody who answered has it; somebody who did not may. */
function NotAmong({ id, gaps, onRetry }: { id: string; gaps: readonly LaneGap[]; onRetry: () => void }) {
  return (
    <div className="empty">
      <h2>No trace {id} among the clusters that answered</h2>
      <p>These did not answer whole and may hold it:</p>
      <ul className="traceAbsent">
        {gaps.map((gap) => (
          <li key={gap.name}>
            <WarnIcon />{' '}
            <Link to="/federation" search={(before: CommonSearch) => ({ ...pickCommon(before), peer: gap.name })}>
              {gap.name}
            </Link>{' '}
            {gap.state}
            {gap.reason ? `: ${gap.reason}` : ''}
          </li>
        ))}
      </ul>
      <button type="button" className="btn" onClick={onRetry}>
        Ask again
      </button>
    </div>
  );
}

function Loaded({ wire, coverage }: { wire: WireTrace; coverage: readonly Coverage[] }) {
  const search = useSearch({ from: '/trace/$id' });
  const { zone } = useView();
  const patch = usePatch();
  const trace = useMemo(() => buildTrace(wire), [wire]);
  const self = useMemo(() => selfTimes(trace.spans), [trace]);
  const slots = useMemo(() => assignSlots(trace.services), [trace]);
  const serviceColour = useCallback((service: string) => slotVariable(slots.get(service) ?? 0), [slots]);
  const places = useMemo(() => assignSlots(trace.clusters), [trace]);
  const clusterColour = useCallback((cluster: string) => slotVariable(places.get(cluster) ?? 0), [places]);
  const stripe = useCallback((span: Span) => clusterColour(span.cluster), [clusterColour]);
  const many = trace.clusters.length > 1;
  const byCluster = many && search.by === 'cluster';
  const colour = useCallback(
    (span: Span) => (byCluster ? clusterColour(span.cluster) : serviceColour(span.service)),
    [byCluster, clusterColour, serviceColour],
  );
  const only = search.only ? /^cluster=(.+)$/.exec(search.find ?? '')?.[1] : undefined;
  const fold = useMemo<Fold>(
    () => ({ depth: search.depth, toggled: new Set(search.fold?.split(',') ?? []) }),
    [search.depth, search.fold],
  );
  const matches = useMemo(() => findSpans(trace.spans, search.find ?? ''), [trace, search.find]);
  const rows = useMemo(
    () => visibleSpans(trace.spans, fold, search.only && search.find ? matches : undefined),
    [trace, fold, matches, search.only, search.find],
  );
  const view = useMemo(() => parseWindow(search.zoom, trace.durationUs), [search.zoom, trace.durationUs]);
  const selected = useMemo(() => trace.spans.findIndex((span) => span.id === search.span), [trace, search.span]);
  const chosen = trace.spans[selected];

  const select = (index: number) =>
    patch({ span: trace.spans[index]?.id }, search.span === undefined ? 'push' : 'replace');
  const setWindow = useCallback(
    (next: Window) => patch({ zoom: windowText(next, trace.durationUs) }),
    [patch, trace.durationUs],
  );
  const toggle = (index: number) => {
    const id = trace.spans[index]?.id;
    if (id === undefined) return;
    const next = new Set(fold.toggled);
    if (!next.delete(id)) next.add(id);
    patch({ fold: [...next].join(',') || undefined }, 'replace');
  };
  return (
    <div className="page tracePage">
      <Head trace={trace} colour={serviceColour} />
      <Lanes
        trace={trace}
        coverage={coverage}
        colour={clusterColour}
        only={only}
        onOnly={(cluster) =>
          patch({ find: cluster ? `cluster=${cluster}` : undefined, only: cluster ? 'match' : undefined })
        }
      />
      <div className="row traceTools">
        <input
          className="field traceFind"
          data-query-target=""
          aria-label="Find spans"
          placeholder="Find: text, key=value, error"
          value={search.find ?? ''}
          onChange={(event) =>
            patch(
              { find: event.target.value || undefined, only: event.target.value ? search.only : undefined },
              'replace',
            )
          }
        />
        <span className="soft" role="status">
          {search.find ? `${formatCount(matches.size)} match` : ''}
        </span>
        <button
          type="button"
          className="btn"
          aria-pressed={search.only === 'match'}
          disabled={!search.find}
          onClick={() => patch({ only: search.only ? undefined : 'match' })}
        >
          Hide the rest
        </button>
        <div className="group" role="group" aria-label="Fold">
          <button
            type="button"
            className="btn"
            title="Fold all ([)"
            onClick={() => patch({ depth: 0, fold: undefined }, 'replace')}
          >
            Fold all
          </button>
          <button
            type="button"
            className="btn"
            title="Unfold all (])"
            onClick={() => patch({ depth: undefined, fold: undefined }, 'replace')}
          >
            Unfold all
          </button>
        </div>
        {search.zoom ? (
          <button type="button" className="btn" onClick={() => patch({ zoom: undefined })}>
            Show the whole trace
          </button>
        ) : null}
        <span className="grow" />
        {many ? (
          <div className="group" role="group" aria-label="Colour by">
            <button
              type="button"
              className="btn"
              aria-pressed={!byCluster}
              onClick={() => patch({ by: undefined }, 'replace')}
            >
              By service
            </button>
            <button
              type="button"
              className="btn"
              aria-pressed={byCluster}
              onClick={() => patch({ by: 'cluster' }, 'replace')}
            >
              By cluster
            </button>
          </div>
        ) : null}
        <Link
          to="/logs"
          search={(before: CommonSearch) => ({ ...pickCommon(before), ...logsOf(trace, undefined) })}
          className="btn"
        >
          Logs of this trace
        </Link>
        <div className="group" role="group" aria-label="Show as">
          <button
            type="button"
            className="btn"
            aria-pressed={search.view !== 'table'}
            onClick={() => patch({ view: undefined })}
          >
            Waterfall
          </button>
          <button
            type="button"
            className="btn"
            aria-pressed={search.view === 'table'}
            onClick={() => patch({ view: 'table' })}
          >
            Table
          </button>
        </div>
      </div>
      <div className="traceBody">
        <div className="panel traceMain">
          {search.view === 'table' ? (
            <SpanTable trace={trace} rows={rows} self={self} selected={selected} onSelect={select} />
          ) : (
            <>
              <Minimap trace={trace} window={view} colour={colour} onWindow={setWindow} />
              <Waterfall
                trace={trace}
                rows={rows}
                window={view}
                fold={fold}
                selected={selected}
                matches={matches}
                colour={colour}
                stripe={many ? stripe : undefined}
                onSelect={select}
                onToggle={toggle}
                onFoldAll={(folded) => patch({ depth: folded ? 0 : undefined, fold: undefined }, 'replace')}
                onWindow={setWindow}
              />
            </>
          )}
        </div>
        {chosen ? (
          <SpanDetail
            trace={trace}
            span={chosen}
            selfUs={self[selected] ?? 0}
            zone={zone}
            onClose={() => patch({ span: undefined })}
          />
        ) : null}
      </div>
    </div>
  );
}

/** Services named in the head before it says how many more. */
const NAMED = 12;

function Head({ trace, colour }: { trace: Trace; colour: (service: string) => string }) {
  const { zone } = useView();
  const root = trace.spans[0];
  const depth = trace.spans.reduce((most, span) => Math.max(most, span.depth + 1), 0);
  return (
    <section className="panel traceHead" aria-label="Trace">
      <div className="row">
        <h2 className="clip">{root ? `${root.service}: ${root.operation}` : 'No spans'}</h2>
        {trace.errors > 0 ? (
          <span className="tag bad">
            {formatCount(trace.errors)} {trace.errors === 1 ? 'error' : 'errors'}
          </span>
        ) : null}
        <span className="grow" />
        <code className="soft">{trace.id}</code>
      </div>
      <div className="row traceFacts soft">
        <span>{formatDateTimeMs(trace.startUs / 1e3, zone)}</span>
        <span>
          <strong>{formatDurationUs(trace.durationUs)}</strong>
        </span>
        <span>
          <strong>{formatCount(trace.spans.length)}</strong> {trace.spans.length === 1 ? 'span' : 'spans'}
        </span>
        <span>
          <strong>{depth}</strong> {depth === 1 ? 'level' : 'levels'}
        </span>
        <ul className="row traceServices" aria-label="Services">
          {trace.services.slice(0, NAMED).map((service) => (
            <li key={service} className="serviceTag" style={{ borderLeftColor: colour(service) }}>
              {service}
            </li>
          ))}
          {trace.services.length > NAMED ? <li>+{trace.services.length - NAMED}</li> : null}
        </ul>
      </div>
    </section>
  );
}
