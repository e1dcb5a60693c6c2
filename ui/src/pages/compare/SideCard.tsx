/** One of the two traces: which, when, how long; and a field to choose another. */
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { formatDateTimeMs, formatDurationUs } from '../../lib/timeformat';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { WarnIcon } from '../../shell/icons';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useView } from '../../state/view';
import type { TraceSide } from './useTraceSide';

interface Props {
  name: 'A' | 'B';
  side: TraceSide;
  onId: (id: string) => void;
}

const TRACE_ID = /^[0-9a-f]{1,32}$/i;

export function SideCard({ name, side, onId }: Props) {
  const { zone } = useView();
  const { trace, gaps } = side;
  const root = trace?.spans[trace.root];
  return (
    <section className="panel compareSide" aria-label={`Trace ${name}`}>
      <div className="row">
        <span className="compareName" aria-hidden="true">
          {name}
        </span>
        <ChooseTrace key={side.id} name={name} id={side.id} onId={onId} />
        {side.loading ? <span className="busy" role="status" aria-label="Loading" /> : null}
        {trace && gaps.length > 0 ? <span className="tag warn">partial</span> : null}
        <span className="grow" />
        {trace ? (
          <Link to="/trace/$id" params={{ id: trace.id }} search={(before: CommonSearch) => pickCommon(before)}>
            Open
          </Link>
        ) : null}
      </div>
      {side.error ? <Problem error={side.error} onRetry={side.refetch} /> : null}
      {side.gone ? <p className="warn compareNote">Nobody who answered has a trace {side.id}.</p> : null}
      {trace && root ? (
        <div className="row compareFacts soft">
          <strong className="clip">
            {root.service}: {root.operation}
          </strong>
          <span>{formatDateTimeMs(trace.startUs / 1e3, zone)}</span>
          <span>
            <strong>{formatDurationUs(trace.durationUs)}</strong>
          </span>
          <span>
            {formatCount(trace.count)} {trace.count === 1 ? 'span' : 'spans'}
          </span>
          {trace.errors > 0 ? (
            <span className="bad">
              {formatCount(trace.errors)} {trace.errors === 1 ? 'error' : 'errors'}
            </span>
          ) : null}
          {trace.gaps.length > 0 ? <span className="warn">{formatCount(trace.gaps.length)} missing</span> : null}
        </div>
      ) : null}
      {gaps.length > 0 ? (
        <p className="warn compareNote">
          <WarnIcon /> {gaps.map((gap) => `${gap.name} ${gap.state}`).join(', ')}: what only the other trace has may be
          in this one too.
        </p>
      ) : null}
    </section>
  );
}

function ChooseTrace({ name, id, onId }: { name: string; id: string; onId: (id: string) => void }) {
  const [text, setText] = useState(id);
  const wrong = text.trim() !== '' && !TRACE_ID.test(text.trim());
  return (
    <form
      className="row"
      onSubmit={(event) => {
        event.preventDefault();
        if (!wrong) onId(text.trim().toLowerCase());
      }}
    >
      <input
        className="field data compareId"
        aria-label={`Id of trace ${name}`}
        placeholder="Id of a trace"
        aria-invalid={wrong}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      {text.trim() !== id ? (
        <button type="submit" className="btn" disabled={wrong}>
          Use
        </button>
      ) : null}
      {wrong ? <span className="bad">1 to 32 hex digits</span> : null}
    </form>
  );
}
