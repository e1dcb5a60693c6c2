/** The line of tools over a trace: search inside it, folding, colours, and how it is shown. */
import { Link, useSearch } from '@tanstack/react-router';
import { matchPlace } from '../../lib/spanfind';
import { logsOfTrace, textOfTrace } from '../../lib/spanlinks';
import type { Trace } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon, usePatch } from '../../state/view';
import { LogsLink } from './SpanPlaces';
import type { Matches } from './useMatches';
import type { TraceLogs } from './useTraceLogs';

interface Props {
  trace: Trace;
  logs: TraceLogs;
  matches: Matches;
  selected: number;
  onMatch: (step: 1 | -1) => void;
}

const VIEWS = [
  [undefined, 'Waterfall', 'v w'],
  ['flame', 'Flame graph', 'v f'],
  ['table', 'Table', 'v t'],
  ['stats', 'Statistics', 'v s'],
] as const;

export function Tools(props: Props) {
  const { trace, logs } = props;
  const search = useSearch({ from: '/trace/$id' });
  const patch = usePatch();
  const waterfall = search.view === undefined;
  const byCluster = search.by === 'cluster';
  return (
    <div className="row traceTools">
      <Find {...props} />
      {waterfall || search.view === 'table' ? (
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
      ) : null}
      {waterfall ? (
        <button
          type="button"
          className="btn"
          aria-pressed={search.path !== 'off'}
          title="What the trace waited for (v p)"
          onClick={() => patch({ path: search.path ? undefined : 'off' }, 'replace')}
        >
          Critical path
        </button>
      ) : null}
      {waterfall && search.zoom ? (
        <button type="button" className="btn" onClick={() => patch({ zoom: undefined })}>
          Show the whole trace
        </button>
      ) : null}
      <span className="grow" />
      {trace.clusters.length > 1 && waterfall ? (
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
      <LogsLink
        at={
          logs.bySpan && logs.lines === 0 && logs.inText > 0
            ? textOfTrace(trace, logs.labels)
            : logsOfTrace(trace, logs.labels)
        }
        lines={logs.bySpan ? logs.lines || logs.inText : undefined}
      >
        Logs of this trace
      </LogsLink>
      <Link
        to="/traces/compare"
        search={(before: CommonSearch) => ({ ...pickCommon(before), a: trace.id })}
        className="btn"
      >
        Compare
      </Link>
      <div className="group" role="group" aria-label="Show as">
        {VIEWS.map(([view, name, keys]) => (
          <button
            key={name}
            type="button"
            className="btn"
            aria-pressed={search.view === view}
            title={keys}
            onClick={() => patch({ view, sort: undefined })}
          >
            {name}
          </button>
        ))}
      </div>
    </div>
  );
}

function Find({ trace, matches, selected, onMatch }: Props) {
  const search = useSearch({ from: '/trace/$id' });
  const patch = usePatch();
  const find = search.find ?? '';
  const setFind = (text: string) => patch({ find: text || undefined, only: text ? search.only : undefined }, 'replace');
  const count = matches.found.size;
  const place = matchPlace(matches.found, selected);
  return (
    <>
      <input
        className="field traceFind"
        data-query-target=""
        aria-label="Find spans"
        placeholder="Find: text, key=value, service=…, error"
        value={find}
        onChange={(event) => setFind(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') onMatch(event.shiftKey ? -1 : 1);
          else if (event.key === 'Escape' && find) setFind('');
          else return;
          event.preventDefault();
        }}
      />
      {find ? (
        <>
          <span className="group" role="group" aria-label="Spans found">
            <button
              type="button"
              className="btn"
              disabled={count === 0}
              aria-label="Previous span found"
              title="Previous (b, Shift+Enter)"
              onClick={() => onMatch(-1)}
            >
              ↑
            </button>
            <button
              type="button"
              className="btn"
              disabled={count === 0}
              aria-label="Next span found"
              title="Next (f, Enter)"
              onClick={() => onMatch(1)}
            >
              ↓
            </button>
          </span>
          <span className="soft" role="status">
            {matches.looking
              ? 'Looking…'
              : `${place > 0 ? `${formatCount(place)} of ` : ''}${formatCount(count)} match`}
          </span>
          <button
            type="button"
            className="btn"
            aria-pressed={search.only === 'match'}
            onClick={() => patch({ only: search.only ? undefined : 'match' })}
          >
            Hide the rest
          </button>
        </>
      ) : trace.errors > 0 ? (
        <button type="button" className="btn" onClick={() => setFind('error')}>
          Errors <span className="faint">{formatCount(trace.errors)}</span>
        </button>
      ) : null}
    </>
  );
}
