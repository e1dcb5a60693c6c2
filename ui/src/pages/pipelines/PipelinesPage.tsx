/** Pipelines: who sends here, what waits, and what became of everything that is sent onward; live. */
import { useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { ApiError } from '../../api/http';
import { type Pipelines, pipelines } from '../../api/pipelines';
import { findingsOf } from '../../lib/flowfindings';
import type { History } from '../../lib/flowhistory';
import { sortDestinations } from '../../lib/pipelines';
import { Problem } from '../../parts/Problem';
import { useAnswer } from '../../state/answers';
import { usePatch, useView } from '../../state/view';
import { DestinationCard, idOf } from './DestinationCard';
import { Flow } from './Flow';
import { Headline } from './Headline';
import { NoDestinations } from './NoDestinations';
import { RemovedTable } from './RemovedTable';
import { SourceTable } from './SourceTable';
import { useHistory } from './useHistory';
import './pipelines.css';

/** Fast enough to see a queue move. A hidden page asks nothing. */
const POLL_MS = 2000;
/** With so few destinations there is room for all that is known of them. */
const OPEN_UP_TO = 4;

export default function PipelinesPage() {
  const { asker, nowMs } = useView();
  const [paused, setPaused] = useState(false);
  const answer = useAnswer(['pipelines', asker.tenant, nowMs], (signal) => pipelines({ ...asker, signal }), {
    ...(paused ? {} : { everyMs: POLL_MS }),
  });
  const data = answer.data?.data;
  const history = useHistory(data);
  if (answer.error && !data) {
    const unknown = answer.error instanceof ApiError && answer.error.status === 404;
    return unknown ? (
      <div className="empty">
        <h2>This node knows no pipelines</h2>
        <p>Its version is from before telemetry was sent onward. What it is sent stays here.</p>
      </div>
    ) : (
      <div className="page">
        <Problem error={answer.error} onRetry={() => void answer.refetch()} />
      </div>
    );
  }
  if (!data)
    return (
      <div className="empty">
        <span className="busy" />
      </div>
    );
  return (
    <div className="page pipelinesPage">
      {answer.error ? <Problem error={answer.error} onRetry={() => void answer.refetch()} /> : null}
      <Loaded
        data={data}
        history={history}
        live={answer.error ? 'lost' : paused ? 'paused' : 'live'}
        onPause={() => setPaused(!paused)}
      />
    </div>
  );
}

interface LoadedProps {
  data: Pipelines;
  history: History;
  live: 'live' | 'paused' | 'lost';
  onPause: () => void;
}

function Loaded({ data, history, live, onPause }: LoadedProps) {
  const search = useSearch({ from: '/pipelines' });
  const patch = usePatch();
  const found = useMemo(() => findingsOf(data, history), [data, history]);
  const destinations = useMemo(() => sortDestinations(data.destinations), [data]);
  const byDefault = destinations.length <= OPEN_UP_TO;
  const toggled = new Set(search.open ?? []);
  const isOpen = (name: string) => byDefault !== toggled.has(name);
  const toggle = (name: string) => {
    const next = toggled.has(name) ? [...toggled].filter((one) => one !== name) : [...toggled, name];
    patch({ open: next.length > 0 ? next : undefined }, 'replace');
  };
  const show = (name: string) => {
    if (!isOpen(name)) toggle(name);
    const card = document.getElementById(idOf(name));
    card?.scrollIntoView({ block: 'start' });
    card?.focus({ preventScroll: true });
  };
  const isBare = data.destinations.length === 0 && data.removed.length === 0;
  return (
    <>
      <Headline data={data} found={found} live={live} onPause={onPause} onShow={show} />
      {isBare && data.sources.length === 0 ? null : <Flow data={data} history={history} onShow={show} />}
      {destinations.map((one) => (
        <DestinationCard
          key={one.name}
          destination={one}
          history={history}
          atMs={data.timeMs}
          open={isOpen(one.name)}
          onToggle={() => toggle(one.name)}
        />
      ))}
      {data.removed.length > 0 ? <RemovedTable lanes={data.removed} /> : null}
      {data.sources.length > 0 ? <SourceTable data={data} history={history} /> : null}
      {data.destinations.length === 0 ? <NoDestinations isHub={data.sources.length > 0} /> : null}
    </>
  );
}
