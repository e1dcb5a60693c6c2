/** Lines as they are written. The list follows them until someone reads: then they wait and are counted. */
import { useSearch } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { adviceOn } from '../../lib/advice';
import { MOST_SHOWN } from '../../lib/tailbuffer';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { usePatch, useView } from '../../state/view';
import { Download } from './Download';
import { FieldSidebar } from './FieldSidebar';
import { LineList } from './LineList';
import { ListHead } from './ListHead';
import { useFields } from './useFields';
import type { Logs } from './useLogs';
import { type Link, useTail } from './useTail';

export default function Live({ logs }: { logs: Logs }) {
  const { asker } = useView();
  if (asker.tenant !== '') {
    return (
      <div className="empty">
        <h2>A live tail is of the default tenant only</h2>
        <p>
          Browsers cannot name a tenant when they open a WebSocket. Choose the default tenant in the bar, or look at the
          lines with a refresh of five seconds.
        </p>
      </div>
    );
  }
  return <Following logs={logs} />;
}

function Following({ logs }: { logs: Logs }) {
  const search = useSearch({ from: '/logs' });
  const { asker } = useView();
  const patch = usePatch();
  const order = search.order ?? 'newest';
  const [edge, setEdge] = useState(0);
  const { tail, link, onPause, onFollow, onClear } = useTail(logs.query, asker);
  const lines = useMemo(() => (order === 'newest' ? tail.shown : tail.shown.toReversed()), [order, tail.shown]);
  const fields = useFields(logs, tail.shown);
  const reading = search.line !== undefined;
  useEffect(() => {
    if (reading) onPause();
  }, [reading, onPause]);
  const goOn = () => {
    patch({ line: undefined, around: undefined }, 'replace');
    onFollow();
    setEdge((n) => n + 1);
  };
  const onScrolled = useCallback(
    (scrolled: boolean) => {
      if (scrolled) onPause();
      else if (!reading) onFollow();
    },
    [reading, onPause, onFollow],
  );
  const onOpen = useCallback((line: string | undefined) => patch({ line, around: undefined }, 'replace'), [patch]);
  return (
    <div className="logsBody">
      <FieldSidebar logs={logs} fields={fields} />
      <div className="logsMain">
        {link.state === 'refused' ? (
          <Problem error={link.error} query={logs.query} advice={adviceOn(link.error)} />
        ) : null}
        <div className="panel linesPanel">
          <div className="row liveHead">
            <LinkState link={link} paused={tail.paused} />
            <span className="soft num">{formatCount(tail.received)} lines came</span>
            {tail.dropped > 0 ? (
              <span
                className="warn"
                title="They came faster than they could be sent or read. They are stored: look at the range."
              >
                at least {formatCount(tail.dropped)} {tail.dropped === 1 ? 'line' : 'lines'} left out
              </span>
            ) : null}
            <span className="grow" />
            {tail.paused ? (
              <button type="button" className="btn primary" onClick={goOn}>
                {tail.waiting.length > 0 ? `${waitingText(tail.waiting.length, tail.passed)} waiting, go on` : 'Go on'}
              </button>
            ) : (
              <button type="button" className="btn" onClick={onPause}>
                Pause
              </button>
            )}
            <button type="button" className="btn quiet" onClick={onClear} disabled={tail.received === 0}>
              Clear
            </button>
            <button type="button" className="btn quiet" onClick={() => patch({ view: undefined, line: undefined })}>
              Stop
            </button>
          </div>
          <span className="srOnly" role="status">
            {tail.paused ? 'The tail is paused; lines wait.' : ''}
          </span>
          <ListHead logs={logs} lines={lines}>
            <Download logs={logs} lines={lines} order={order} />
          </ListHead>
          {lines.length === 0 && link.state !== 'refused' ? (
            <div className="empty">
              <h2>{link.state === 'open' ? 'Waiting for lines' : 'Opening the tail'}</h2>
              <p>Nothing that matches was written in the last ten minutes. Lines appear here as they come in.</p>
            </div>
          ) : (
            <LineList
              logs={logs}
              lines={lines}
              order={order}
              more={false}
              loadingMore={false}
              end={lines.length >= MOST_SHOWN ? `The newest ${formatCount(MOST_SHOWN)} lines.` : ''}
              edge={edge}
              live
              onScrolled={onScrolled}
              onMore={nothing}
              onOpen={onOpen}
            />
          )}
        </div>
      </div>
    </div>
  );
}

function nothing(): void {
  // A tail has no more lines than came.
}

function waitingText(waiting: number, passed: number): string {
  const lines = `${formatCount(waiting + passed)} ${waiting + passed === 1 ? 'line' : 'lines'}`;
  return passed > 0 ? `${lines} (${formatCount(passed)} of them not kept)` : lines;
}

function LinkState({ link, paused }: { link: Link; paused: boolean }) {
  if (link.state === 'open') {
    return <span className={paused ? 'fresh warn' : 'fresh good'}>{paused ? 'Paused' : 'Live'}</span>;
  }
  if (link.state === 'opening') return <span className="fresh none">Opening</span>;
  if (link.state === 'refused') return <span className="fresh bad">Refused</span>;
  return (
    <span className="fresh bad" role="status">
      Lost{link.reason ? `: ${link.reason}` : ''}; opening again
    </span>
  );
}
