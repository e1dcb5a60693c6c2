/** The curve of one row. Asked for only while the row is in sight, a few at a time, and let go of when it leaves. */
import { queryRange } from '../../api/prom';
import { Sparkline } from '../../chart/Sparkline';
import { type Entry, sparkOf, unitOf, type ViewKey } from '../../lib/catalog';
import { createLimiter } from '../../lib/limiter';
import { onRange } from '../../lib/series';
import { niceStep } from '../../lib/steps';
import { formatValue } from '../../lib/units';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';

/** More at once would take the node's places from people who ask. */
const AT_ONCE = 4;
/** A row that scrolls by is in sight for less than this. */
const SETTLE_MS = 120;
const POINTS = 60;
/** Metrics are sent every minute at most places: a window that holds several of their samples. */
const SHORTEST_WINDOW_S = 300;

const limiter = createLimiter(AT_ONCE);

export function SparkCell({ entry }: { entry: Entry }) {
  const { range, asker, nowMs, from, to } = useView();
  const step = niceStep(range.toMs - range.fromMs, POINTS);
  const rateSeconds = Math.max(SHORTEST_WINDOW_S, 2 * step);
  const drawn = sparkOf(entry, { matchers: [], stepSeconds: step, rateSeconds });
  const answer = useAnswer(['spark', drawn.expr, step, asker, from, to, nowMs], async (signal) => {
    await settle(signal);
    return limiter.run(signal, () => queryRange(drawn.expr, range, step, { ...asker, signal }));
  });
  const series = answer.data?.data.series[0];
  const column = series ? onRange(series, range.fromMs / 1e3, range.toMs / 1e3, step) : [];
  const last = [...column].reverse().find((value) => value !== null);
  if (answer.error && !answer.data) {
    return (
      <span className="faint clip" title={answer.error.message}>
        not drawn: {answer.error.message}
      </span>
    );
  }
  if (answer.data && last === undefined) return <span className="faint">nothing in this range</span>;
  return (
    <span className="sparkCell" title={drawn.expr}>
      <Sparkline values={column} colour="var(--series-0)" width={132} height={22} />
      <span className="num sparkLast">
        {last === undefined || last === null
          ? ''
          : formatValue(last, unitOf(entry, UNIT_VIEW[drawn.tag ?? ''] ?? 'raw'))}
      </span>
      <span className="faint sparkTag">{last === undefined ? '' : drawn.tag}</span>
    </span>
  );
}

const UNIT_VIEW: Record<string, ViewKey> = { rate: 'rate', series: 'series' };

function settle(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, SETTLE_MS);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('no longer in sight', 'AbortError'));
    });
  });
}
