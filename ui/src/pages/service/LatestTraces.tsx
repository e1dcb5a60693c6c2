/** The latest traces in which the service failed, and those in which it was slower than nineteen of twenty. */
import { Link } from '@tanstack/react-router';
import { searchTraces } from '../../api/tempo';
import { adviceOn } from '../../lib/advice';
import { type Found, foundName } from '../../lib/found';
import { formatDateTimeMs, formatDurationUs } from '../../lib/timeformat';
import { quoteTrace } from '../../lib/traceql';
import { Problem } from '../../parts/Problem';
import { useAnswerAbout } from '../../state/answers';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useView } from '../../state/view';

interface Props {
  name: string;
  operation: string | undefined;
  /** Seconds. */
  p95: number | null;
  /** Whether it is known that there is no p95. */
  isSettled: boolean;
}

const SHOWN = 12;

export function LatestTraces({ name, operation, p95, isSettled }: Props) {
  const own = [`resource.service.name = ${quoteTrace(name)}`, operation && `name = ${quoteTrace(operation)}`];
  const where = own.filter(Boolean).join(' && ');
  const slow = p95 !== null && p95 > 0 ? `{ ${where} && duration >= ${Math.max(1, Math.round(p95 * 1e6))}us }` : null;
  return (
    <>
      <List title="Failed" query={`{ ${where} && status = error }`} none="No failed span in this range." />
      {slow ? (
        <List
          title="Slow"
          query={slow}
          hint={`spans of ${formatDurationUs((p95 ?? 0) * 1e6)} and longer`}
          none="No slow span in this range."
        />
      ) : (
        <section className="panel latest" aria-label="Slow traces">
          <h2>Slow traces</h2>
          <p className="faint">{isSettled ? 'Nothing to compare with: no durations in this range.' : ''}</p>
        </section>
      )}
    </>
  );
}

interface ListProps {
  title: string;
  query: string;
  hint?: string;
  none: string;
}

function List({ title, query, hint, none }: ListProps) {
  const { asker, range, zone, from, to, nowMs } = useView();
  const answer = useAnswerAbout(query, ['latest traces', asker, from, to, nowMs], (signal) =>
    searchTraces(query, Math.floor(range.fromMs / 1e3), Math.ceil(range.toMs / 1e3), SHOWN, { ...asker, signal }),
  );
  const found = answer.own?.data.traces ?? [];
  return (
    <section className="panel latest" aria-label={`${title} traces`}>
      <div className="row">
        <h2>{title} traces</h2>
        <span className="soft clip grow">{hint}</span>
        {answer.isFetching ? <span className="busy" /> : null}
        <Link
          to="/traces"
          search={(before: CommonSearch) => ({ ...pickCommon(before), q: query })}
          className="cellLink"
        >
          all of them
        </Link>
      </div>
      {answer.error ? (
        <Problem
          error={answer.error}
          query={query}
          advice={adviceOn(answer.error, 'traces')}
          onRetry={answer.refetch}
        />
      ) : null}
      {answer.own && found.length === 0 ? <p className="faint">{none}</p> : null}
      <ol>
        {found.map((one) => (
          <li key={one.id}>
            <Row one={one} time={formatDateTimeMs(one.startMs, zone).slice(11)} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function Row({ one, time }: { one: Found; time: string }) {
  const { service, operation } = foundName(one);
  const [match] = one.matches;
  return (
    <Link
      to="/trace/$id"
      params={{ id: one.id }}
      search={(before: CommonSearch) => ({ ...pickCommon(before), span: match?.id })}
      className="latestRow"
      title={`${service} ${operation}`}
    >
      <span className="data soft">{time}</span>
      <span className="clip grow">{match?.name || operation}</span>
      <span className="num">{formatDurationUs(match?.durationUs ?? one.durationUs)}</span>
      <span className="num faint">of {formatDurationUs(one.durationUs)}</span>
    </Link>
  );
}
