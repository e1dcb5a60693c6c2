/** One trace: read as it comes, however long; or why it cannot be shown. */
import { Link, useParams } from '@tanstack/react-router';
import { lazy, Suspense, useCallback, useRef, useState } from 'react';
import { ApiError } from '../../api/http';
import { traceById } from '../../api/jaeger';
import { type LaneGap, laneGaps } from '../../lib/lanes';
import { formatBytes, formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { WarnIcon } from '../../shell/icons';
import { useAnswer } from '../../state/answers';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useView } from '../../state/view';
import './trace.css';

const LoadedTrace = lazy(() => import('./LoadedTrace'));

export default function TracePage() {
  const { id } = useParams({ from: '/trace/$id' });
  const { asker } = useView();
  const [progress, onProgress] = useProgress();
  const answer = useAnswer(['trace', id, asker], (signal) => traceById(id, { ...asker, signal }, onProgress), {
    staleMs: 30_000,
    large: true,
  });
  // The previous trace stays as a placeholder while the next loads; under the new address it would be a lie.
  const data = answer.isPlaceholderData ? undefined : answer.data?.data;
  const gone = data === null || (answer.error instanceof ApiError && answer.error.status === 404);
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
  const busy = (
    <div className="empty" role="status">
      <span className="busy" />
      {progress.spans > 0 ? (
        <p>
          {formatCount(progress.spans)} spans, {formatBytes(progress.bytes)} read
        </p>
      ) : null}
    </div>
  );
  return data ? (
    <Suspense fallback={busy}>
      <LoadedTrace key={data.id} data={data} coverage={answer.data?.coverage ?? []} />
    </Suspense>
  ) : (
    busy
  );
}

interface Progress {
  spans: number;
  bytes: number;
}

/** Between two changes of what is said of the progress. */
const TELL_MS = 250;

function useProgress(): [Progress, (spans: number, bytes: number) => void] {
  const [progress, setProgress] = useState<Progress>({ spans: 0, bytes: 0 });
  const toldAt = useRef(0);
  const tell = useCallback((spans: number, bytes: number) => {
    const now = performance.now();
    if (now - toldAt.current < TELL_MS) return;
    toldAt.current = now;
    setProgress({ spans, bytes });
  }, []);
  return [progress, tell];
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
