/** The lines before and after one line in its own stream, whatever the query filters out. */
import { useMemo } from 'react';
import { type LogLine, queryLines } from '../../api/loki';
import { lineKey, type Order } from '../../lib/loglines';
import { streamSelector } from '../../lib/logql';
import { Problem } from '../../parts/Problem';
import { useAnswer } from '../../state/answers';
import { usePatch, useView } from '../../state/view';
import { LineRow } from './LineRow';
import { type Logs, useWithDate } from './useLogs';

interface Props {
  line: LogLine;
  logs: Logs;
  /** On either side. */
  count: number;
  order: Order;
}

const CHOICES = [5, 10, 25, 50, 100];
/** How far away a neighbour may be. */
const REACH_NS = 86_400n * 1_000_000_000n;
const NO_WIDTHS: ReadonlyMap<string, number> = new Map();

export function Around({ line, logs, count, order }: Props) {
  const { zone, asker } = useView();
  const patch = usePatch();
  const withDate = useWithDate();
  const selector = useMemo(() => streamSelector(streamOf(line, logs.streamLabels)), [line, logs.streamLabels]);
  const at = BigInt(line.ns);
  const before = useAnswer(['lines before', selector, line.ns, count, asker], (signal) =>
    queryLines(selector, `${at - REACH_NS}`, line.ns, count, { ...asker, signal }, 'newest'),
  );
  const after = useAnswer(['lines after', selector, line.ns, count, asker], (signal) =>
    queryLines(selector, line.ns, `${at + REACH_NS}`, count + 1, { ...asker, signal }, 'oldest'),
  );
  const error = before.error ?? after.error;
  const waiting = before.isLoading || after.isLoading;
  const later = withoutOne(after.data?.data ?? [], lineKey(line)).slice(0, count);
  const earlier = before.data?.data ?? [];
  const all = [...[...earlier].reverse(), line, ...later];
  if (order === 'newest') all.reverse();
  const here = all.indexOf(line);
  return (
    <section className="around" aria-label="Surrounding lines">
      <div className="row aroundHead">
        <code className="clip grow soft">{selector}</code>
        {waiting ? <span className="busy" /> : null}
        <span className="soft">
          {earlier.length} before, {later.length} after
        </span>
        <label className="row">
          On either side
          <select
            className="field"
            value={count}
            onChange={(event) => patch({ around: Number(event.target.value) }, 'replace')}
          >
            {[...new Set([...CHOICES, count])]
              .sort((a, b) => a - b)
              .map((n) => (
                <option key={n} value={n}>
                  {n}
                </option>
              ))}
          </select>
        </label>
      </div>
      {error ? <Problem error={error} /> : null}
      <div className="aroundLines" tabIndex={0} role="region" aria-label={`Lines around this one, ${order} first`}>
        {all.map((one, i) => (
          <div key={i} className={i === here ? 'aroundHere' : undefined} aria-current={i === here || undefined}>
            <LineRow
              line={one}
              id={lineKey(one)}
              open={i === here}
              zone={zone}
              withDate={withDate}
              wrap={false}
              wanted={logs.wanted}
              columns={[]}
              widths={NO_WIDTHS}
              onOpen={(key) => patch({ line: key ?? lineKey(one), around: count })}
            />
          </div>
        ))}
      </div>
    </section>
  );
}

function streamOf(line: LogLine, streamLabels: ReadonlySet<string>): Readonly<Record<string, string>> {
  if (line.parts) return line.parts.stream;
  return Object.fromEntries(Object.entries(line.labels).filter(([name]) => streamLabels.has(name)));
}

/** The line itself comes with those after it, once. */
function withoutOne(lines: readonly LogLine[], key: string): LogLine[] {
  const at = lines.findIndex((one) => lineKey(one) === key);
  return at < 0 ? [...lines] : lines.filter((_, i) => i !== at);
}
