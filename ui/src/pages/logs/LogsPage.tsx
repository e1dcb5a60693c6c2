/**
 * Logs: one search line, the fields of what it finds, the histogram of the whole range, and the lines; or lines as they are
 * written, or groups of them. `useLogs` is what all of these are about.
 */
import { useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useRef } from 'react';
import { listen, type Shortcut } from '../../lib/keys';
import { Problem } from '../../parts/Problem';
import { letterKeysOn } from '../../shell/actions';
import { usePatch } from '../../state/view';
import { Lines } from './Lines';
import { NoLogs } from './NoLines';
import { SearchLine } from './SearchLine';
import { type Logs, useLogs } from './useLogs';
import './logs.css';

const Live = lazy(() => import('./Live'));
const Patterns = lazy(() => import('./Patterns'));
const MetricOverLogs = lazy(() => import('./MetricOverLogs'));

export default function LogsPage() {
  const logs = useLogs();
  useViewKeys();
  return (
    <div className="page logsPage">
      <SearchLine logs={logs} />
      {logs.labels.error ? <Problem error={logs.labels.error} onRetry={() => void logs.labels.refetch()} /> : null}
      <Suspense fallback={<span className="busy" />}>
        <Body logs={logs} />
      </Suspense>
    </div>
  );
}

function Body({ logs }: { logs: Logs }) {
  const search = useSearch({ from: '/logs' });
  if (logs.query === '') return logs.labels.isLoading || logs.labels.error ? null : <NoLogs />;
  if (!logs.isLines) return <MetricOverLogs query={logs.query} />;
  if (search.view === 'live') return <Live logs={logs} />;
  if (search.view === 'patterns') return <Patterns logs={logs} />;
  return <Lines logs={logs} />;
}

/** `v` and a letter change how the lines are shown; help lists them (`shell/actions.ts`). */
function useViewKeys(): void {
  const search = useSearch({ from: '/logs' });
  const patch = usePatch();
  const latest = useRef({ search, patch });
  useEffect(() => {
    latest.current = { search, patch };
  });
  useEffect(() => {
    const toggle =
      (make: (now: typeof search) => object, how: 'push' | 'replace' = 'replace') =>
      () =>
        latest.current.patch({ ...make(latest.current.search) }, how);
    const key = (keys: string, run: () => void): Shortcut => ({ keys, label: '', group: 'Logs', run });
    const keys = [
      key(
        'v l',
        toggle((now) => ({ view: now.view === 'live' ? undefined : 'live' }), 'push'),
      ),
      key(
        'v p',
        toggle((now) => ({ view: now.view === 'patterns' ? undefined : 'patterns' }), 'push'),
      ),
      key(
        'v w',
        toggle((now) => ({ wrap: now.wrap ? undefined : 'on' })),
      ),
      key(
        'v o',
        toggle((now) => ({ order: now.order ? undefined : 'oldest' })),
      ),
      key(
        'v h',
        toggle((now) => ({ hist: now.hist === 'off' ? undefined : 'off' })),
      ),
      key(
        'v a',
        toggle((now) => (now.line ? { around: now.around ? undefined : 10 } : {})),
      ),
    ];
    return listen(() => keys, letterKeysOn);
  }, []);
}
