/** The search line: LogQL or plain words, what they were read as, saved searches, and how the lines are shown. */
import { useSearch } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { QueryField } from '../../editor/QueryField';
import { advanceNow } from '../../state/now';
import { usePatch } from '../../state/view';
import { SavedSearches } from './Saved';
import type { Logs } from './useLogs';

const VIEWS = [
  { view: undefined, name: 'Lines', title: 'Lines of the range' },
  { view: 'live', name: 'Live', title: 'Lines as they are written (v l)' },
  { view: 'patterns', name: 'Patterns', title: 'Lines grouped by what they have in common (v p)' },
] as const;

export function SearchLine({ logs }: { logs: Logs }) {
  const search = useSearch({ from: '/logs' });
  const patch = usePatch();
  // An empty line shows everything, and says as what.
  const shown = logs.text || logs.query;
  const draft = useRef(shown);
  useEffect(() => {
    draft.current = shown;
  }, [shown]);
  const run = () => {
    const text = draft.current.trim();
    advanceNow();
    if (text !== shown) patch({ q: text || undefined, line: undefined });
  };
  return (
    <>
      <div className="row logsSearch" data-query-target="">
        <QueryField
          language="logql"
          label="LogQL query"
          hint='Words, or LogQL: timeout "connection refused" -debug    {service_name="checkout"} |= "timeout"'
          value={shown}
          onRun={run}
          onDraft={(text) => {
            draft.current = text;
          }}
        />
        <button type="button" className="btn primary logsRun" onClick={run} title="Run (Enter)">
          Run
        </button>
        <SavedSearches />
        <div className="group" role="group" aria-label="Show">
          {VIEWS.map(({ view, name, title }) => (
            <button
              key={name}
              type="button"
              className="btn logsRun"
              title={title}
              aria-pressed={search.view === view}
              onClick={() => patch({ view, line: undefined })}
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      {logs.written !== 'logql' && logs.query !== '' ? (
        <p className="row readAs">
          <span className="soft">{logs.written === 'words' ? 'Lines with these words:' : 'In every stream:'}</span>
          <code className="clip">{logs.query}</code>
          <button type="button" className="linkish" onClick={() => logs.setQuery(logs.query)}>
            Edit as LogQL
          </button>
        </p>
      ) : null}
    </>
  );
}
