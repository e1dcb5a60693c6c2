/** Where a span leads: its lines, those of its pod, and the metrics of what made it. */
import { Link } from '@tanstack/react-router';
import { type LogsAt, logsOfPod, logsOfService, logsOfSpan, metricTimes, textOfTrace } from '../../lib/spanlinks';
import { sentId } from '../../lib/spandata';
import type { Span, Trace } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';
import { useSpanMetrics } from './useSpanMetrics';
import type { TraceLogs } from './useTraceLogs';

interface Props {
  trace: Trace;
  span: Span;
  logs: TraceLogs;
}

export function SpanPlaces({ trace, span, logs }: Props) {
  const own = logs.bySpan?.get(sentId(span.id));
  const pod = logsOfPod(trace, span, logs.labels);
  const none = logs.bySpan !== null && own === undefined;
  return (
    <nav className="spanPlaces" aria-label="Logs and metrics of this span">
      {none ? (
        <span className="soft">No line has its id.</span>
      ) : (
        <LogsLink at={logsOfSpan(trace, span, logs.labels)} lines={own}>
          Logs of this span
        </LogsLink>
      )}
      {none && logs.inText > 0 ? (
        <LogsLink at={textOfTrace(trace, logs.labels, span)}>Lines that name the trace</LogsLink>
      ) : null}
      {pod ? (
        <LogsLink at={pod}>Logs of its pod</LogsLink>
      ) : (
        <LogsLink at={logsOfService(trace, span, logs.labels)}>Logs of its service</LogsLink>
      )}
      <Metrics trace={trace} span={span} />
    </nav>
  );
}

interface LogsLinkProps {
  at: LogsAt;
  lines?: number | undefined;
  children: string;
}

/** The query names its cluster itself: a scope of another one would only empty it. */
export function LogsLink({ at, lines, children }: LogsLinkProps) {
  return (
    <Link
      to="/logs"
      search={(before: CommonSearch) => ({ ...pickCommon(before), scope: undefined, ...at })}
      className="btn"
      title={at.q}
    >
      {children}
      {lines === undefined ? null : <span className="faint">{formatCount(lines)}</span>}
    </Link>
  );
}

function Metrics({ trace, span }: { trace: Trace; span: Span }) {
  const { metrics, loading } = useSpanMetrics(trace, span);
  if (!metrics) return loading ? <span className="busy" role="status" aria-label="Looking for metrics" /> : null;
  const { fromMs, toMs } = metricTimes(trace);
  const when = (before: CommonSearch) => ({
    ...pickCommon(before),
    scope: metrics.scope,
    from: String(fromMs),
    to: String(toMs),
  });
  return (
    <>
      {metrics.red ? (
        <Link
          to="/metrics"
          search={(before: CommonSearch) => ({ ...when(before), q: [...(metrics.red ?? [])] })}
          className="btn"
          title="Rate, errors and latency of this operation"
        >
          Metrics of this operation
        </Link>
      ) : null}
      {(['pod', 'service'] as const).map((what) => {
        const condition = metrics[what];
        if (!condition) return null;
        const label = `${condition.name}=${condition.value}`;
        return (
          <Link
            key={what}
            to="/metrics/catalog"
            search={(before: CommonSearch) => ({ ...when(before), label })}
            className="btn"
            title={`Metrics that have ${label}`}
          >
            Metrics of its {what}
          </Link>
        );
      })}
    </>
  );
}
