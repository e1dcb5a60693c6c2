/** How many lines the service wrote, by level, each a way to those lines. */
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { queryLogInstant } from '../../api/loki';
import { adviceOn } from '../../lib/advice';
import { shapeHistogram } from '../../lib/histogram';
import { addOneOf, countByLevel, quote } from '../../lib/logql';
import { promDuration } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useAnswerAbout } from '../../state/answers';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useView } from '../../state/view';

export function LogLevels({ name }: { name: string }) {
  const { asker, range, from, to, nowMs } = useView();
  const query = `{service_name=${quote(name)}}`;
  const window = promDuration((range.toMs - range.fromMs) / 1e3);
  const count = countByLevel(query, window);
  const answer = useAnswerAbout(count, ['service logs', asker, from, to, nowMs], (signal) =>
    queryLogInstant(count, range.toMs, { ...asker, signal }),
  );
  const known = useMemo(() => (answer.own ? shapeHistogram(answer.own.data.series, 1) : null), [answer.own]);
  const link = (q: string) => (before: CommonSearch) => ({ ...pickCommon(before), q });
  return (
    <section className="panel logLevels" aria-label="Logs">
      <div className="row">
        <h2>Logs</h2>
        <span className="soft grow">{known ? `${formatCount(known.total)} lines` : ''}</span>
        <Link to="/logs" search={link(query)} className="cellLink">
          all of them
        </Link>
      </div>
      {answer.error ? <Problem error={answer.error} advice={adviceOn(answer.error)} onRetry={answer.refetch} /> : null}
      {known && known.total === 0 ? (
        <p className="faint">
          No lines with <code>service_name={name}</code> in this range.
        </p>
      ) : null}
      <ul>
        {known?.levels.map(({ level, total, filter }) => (
          <li key={level}>
            <span className="swatch" style={{ background: `var(--level-${level})` }} />
            {filter ? (
              <Link to="/logs" search={link(addOneOf(query, filter.label, filter.values, 'meta'))} className="cellLink">
                {level}
              </Link>
            ) : (
              <span>{level}</span>
            )}
            <span className="logShare" aria-hidden="true">
              <span
                style={{ width: `${(100 * total) / Math.max(1, known.total)}%`, background: `var(--level-${level})` }}
              />
            </span>
            <span className="num">{formatCount(total)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
