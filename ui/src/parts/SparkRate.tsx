/** The curve of one row. Asked for only while the row is in sight, a few at a time, and let go of when it leaves. */
import { queryRange } from '../api/prom';
import { Sparkline } from '../chart/Sparkline';
import { createLimiter } from '../lib/limiter';
import { onRange } from '../lib/series';
import { useAnswer } from '../state/answers';
import { useView } from '../state/view';

/** More at once would take the node's places from people who ask. */
const AT_ONCE = 4;
/** A row that scrolls by is in sight for less than this. */
const SETTLE_MS = 120;

const limiter = createLimiter(AT_ONCE);

interface Props {
  expr: string;
  stepSeconds: number;
  colour?: string;
}

export function SparkRate({ expr, stepSeconds, colour = 'var(--series-0)' }: Props) {
  const { range, asker, nowMs, from, to } = useView();
  const answer = useAnswer(['spark', expr, stepSeconds, asker, from, to, nowMs], async (signal) => {
    await settle(signal);
    return limiter.run(signal, () => queryRange(expr, range, stepSeconds, { ...asker, signal }));
  });
  const series = answer.data?.data.expr === expr ? answer.data.data.series[0] : undefined;
  const column = series ? onRange(series, range.fromMs / 1e3, range.toMs / 1e3, stepSeconds) : [];
  if (answer.error && !answer.data) {
    return (
      <span className="faint clip" title={answer.error.message}>
        not drawn
      </span>
    );
  }
  return <Sparkline values={column} colour={colour} width={110} height={18} />;
}

function settle(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, SETTLE_MS);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('no longer in sight', 'AbortError'));
    });
  });
}
