/** Why there are no lines: the filters, the streams, the range, or nothing was ever sent. Each with what to do next. */
import { queryLogInstant } from '../../api/loki';
import { countAll, selectorOf, splitLogQuery } from '../../lib/logql';
import { promDuration } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { useAnswer } from '../../state/answers';
import { useRangeMoves, useSetRange, useView } from '../../state/view';
import type { Logs } from './useLogs';

export function NoLines({ logs }: { logs: Logs }) {
  const setRange = useSetRange();
  const moves = useRangeMoves();
  const streams = selectorOf(logs.query);
  const filtered = (splitLogQuery(logs.query)?.pipeline ?? '') !== '';
  const ofStreams = useCount(streams, filtered);
  const others = ofStreams === 0 || !filtered;
  const ofAll = useCount(logs.everything, others && logs.everything !== '' && logs.everything !== streams);
  return (
    <div className="empty">
      <h2>No lines match in this range</h2>
      {filtered && ofStreams ? (
        <p>
          {formatCount(ofStreams)} lines of these streams lie in the range, and none passes the filters behind{' '}
          <code>{streams.length < 60 ? streams : 'the selector'}</code>.
        </p>
      ) : ofAll ? (
        <p>
          No stream with these labels has a line in the range; {formatCount(ofAll)} lines of other streams lie in it.
          Labels change with deployments: look at the fields on the left for those that are there now.
        </p>
      ) : (
        <p>
          Nothing was written in this range as far as this node and its peers hold it. Widen it, or go back in time.
        </p>
      )}
      <div className="row">
        {filtered && ofStreams ? (
          <button type="button" className="btn primary" onClick={() => logs.setQuery(streams)}>
            Without the filters
          </button>
        ) : null}
        {ofAll && logs.everything !== streams ? (
          <button type="button" className="btn primary" onClick={() => logs.setQuery(logs.everything)}>
            All streams
          </button>
        ) : null}
        <button type="button" className="btn" onClick={() => setRange({ from: 'now-24h', to: 'now' })}>
          Last 24 hours
        </button>
        <button type="button" className="btn" onClick={moves.out} title="t -">
          Twice the range
        </button>
      </div>
    </div>
  );
}

/** Undefined until it is known, and where it cannot be. */
function useCount(query: string, enabled: boolean): number | undefined {
  const { asker, range, from, to, nowMs } = useView();
  const window = promDuration((range.toMs - range.fromMs) / 1e3);
  const answer = useAnswer(
    ['log count', query, asker, from, to, nowMs],
    (signal) => queryLogInstant(countAll(query, window), range.toMs, { ...asker, signal }),
    { enabled },
  );
  if (!enabled || !answer.data || answer.isPlaceholderData || answer.error) return undefined;
  return answer.data.data.series.reduce((sum, one) => sum + (one.values[0] ?? 0), 0);
}

/** Not even a label. */
export function NoLogs() {
  const setRange = useSetRange();
  return (
    <div className="empty">
      <h2>No logs in this range</h2>
      <p>
        Send some as OTLP to <code>/v1/logs</code> or in Loki&apos;s format to <code>/loki/api/v1/push</code>, or widen
        the range.
      </p>
      <button type="button" className="btn" onClick={() => setRange({ from: 'now-7d', to: 'now' })}>
        Last 7 days
      </button>
    </div>
  );
}
