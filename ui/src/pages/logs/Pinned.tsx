/** The line that the address names, where it is not among those loaded: fetched by its instant and shown on top. */
import { useSearch } from '@tanstack/react-router';
import { queryLines } from '../../api/loki';
import { keyNs, lineKey } from '../../lib/loglines';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';
import { LineDetail } from './LineDetail';
import type { Logs } from './useLogs';

interface Props {
  lineKey: string;
  logs: Logs;
  onClose: () => void;
}

/** Lines of one nanosecond that are looked through. */
const MOST = 1000;

export function Pinned({ lineKey: key, logs, onClose }: Props) {
  const { asker } = useView();
  const order = useSearch({ from: '/logs' }).order ?? 'newest';
  const ns = keyNs(key);
  const answer = useAnswer(
    ['line', logs.query, ns, asker],
    (signal) => {
      const at = ns ?? '0';
      return queryLines(logs.query, at, `${BigInt(at) + 1n}`, MOST, { ...asker, signal });
    },
    { enabled: ns !== null },
  );
  const line = answer.data?.data.find((one) => lineKey(one) === key);
  if (answer.isLoading || answer.isPlaceholderData) return null;
  return (
    <section className="pinned" aria-label="The line of this address">
      <div className="linesBehind">
        <span>
          {line
            ? 'The line that this address opens is not among those below.'
            : 'The line that this address opens is not there any more, or the query leaves it out.'}
        </span>
        <button type="button" className="linkish" onClick={onClose}>
          Close
        </button>
      </div>
      {line ? <LineDetail key={key} line={line} logs={logs} order={order} /> : null}
    </section>
  );
}
