/** The query as TraceQL, and above it the fields that write it for those who would rather not. */
import { useSearch } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { QueryField } from '../../editor/QueryField';
import { readForm } from '../../lib/traceform';
import { advanceNow } from '../../state/now';
import { usePatch } from '../../state/view';
import { SearchForm } from './SearchForm';
import { EVERYTHING, type Traces } from './useTraces';

export function SearchLine({ traces }: { traces: Traces }) {
  const search = useSearch({ from: '/traces' });
  const patch = usePatch();
  const draft = useRef(traces.query);
  useEffect(() => {
    draft.current = traces.query;
  }, [traces.query]);
  const run = () => {
    const text = draft.current.trim() || EVERYTHING;
    if (text === traces.query) advanceNow();
    else traces.setQuery(text);
  };
  const form = readForm(traces.query);
  const isFormShown = search.form !== 'off';
  return (
    <div className="panel tracesSearch">
      <div className="row tracesQuery" data-query-target="">
        <QueryField
          language="traceql"
          label="TraceQL query"
          hint='TraceQL, for example: { resource.service.name = "checkout" && status = error }'
          value={traces.query}
          onRun={run}
          onDraft={(text) => {
            draft.current = text;
          }}
        />
        <button type="button" className="btn primary tracesRun" onClick={run} title="Run (Enter)">
          Run
        </button>
        <button
          type="button"
          className="btn tracesRun"
          aria-expanded={isFormShown}
          onClick={() => patch({ form: isFormShown ? 'off' : undefined }, 'replace')}
        >
          Form
        </button>
      </div>
      {!isFormShown ? null : form ? (
        <SearchForm key={traces.query} form={form} onSearch={traces.setQuery} />
      ) : (
        <p className="soft formless">
          This query says more than the form can hold.
          <button type="button" className="linkish" onClick={() => traces.setQuery(EVERYTHING)}>
            Start over with the form
          </button>
        </p>
      )}
    </div>
  );
}
