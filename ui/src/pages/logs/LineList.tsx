/** The lines: only those in sight exist, more are fetched as the end comes near, one of them may be open. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useSearch } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { LogLine } from '../../api/loki';
import { lineKey, type Order } from '../../lib/loglines';
import { useView } from '../../state/view';
import { columnWidths } from './columns';
import { LineDetail } from './LineDetail';
import { LineRow } from './LineRow';
import { type Logs, useWithDate } from './useLogs';
import './lines.css';

interface Props {
  logs: Logs;
  lines: readonly LogLine[];
  order: Order;
  more: boolean;
  loadingMore: boolean;
  end: string;
  /** A change of it brings the list back to its beginning, or where lines come in at the end, there. */
  edge: number;
  /** Lines come in at the end that is newest, and the list follows them. */
  live?: boolean;
  onScrolled: (scrolled: boolean) => void;
  onMore: () => void;
  onOpen: (key: string | undefined) => void;
}

const LINE_PX = 20;
/** Lines before the end when the next are asked for. */
const AHEAD = 30;

export function LineList(props: Props) {
  const { logs, lines, order, more, loadingMore, onMore, onOpen, live = false } = props;
  const search = useSearch({ from: '/logs' });
  const { zone } = useView();
  const withDate = useWithDate();
  const open = search.line;
  const wrap = search.wrap === 'on';
  const scroller = useRef<HTMLDivElement>(null);
  const [current, setCurrent] = useState(-1);
  const widths = useMemo(() => columnWidths(lines, logs.columns), [lines, logs.columns]);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_PX,
    overscan: 20,
  });
  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  useEffect(() => {
    if (more && !loadingMore && lines.length > 0 && last >= lines.length - AHEAD) onMore();
  }, [more, loadingMore, last, lines.length, onMore]);

  // Where new lines appear: above, but for a live list that runs downwards.
  const atEnd = live && order === 'oldest';
  const following = useRef(true);
  useEffect(() => {
    following.current = true;
    const element = scroller.current;
    if (element) element.scrollTop = atEnd ? element.scrollHeight : 0;
  }, [props.edge, atEnd]);
  useEffect(() => {
    const element = scroller.current;
    if (atEnd && following.current && element) element.scrollTop = element.scrollHeight;
  }, [atEnd, lines]);

  const onScroll = (element: HTMLElement) => {
    const from = atEnd ? element.scrollHeight - element.clientHeight - element.scrollTop : element.scrollTop;
    following.current = from <= LINE_PX;
    props.onScrolled(!following.current);
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const move = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const line = lines[current];
    if (event.key === 'Enter' && line) onOpen(lineKey(line) === open ? undefined : lineKey(line));
    else if (event.key === 'Escape' && open) onOpen(undefined);
    else if (move !== 0) {
      const next = Math.min(Math.max(current + move, 0), lines.length - 1);
      setCurrent(next);
      virtual.scrollToIndex(next);
    } else return;
    event.preventDefault();
  };
  return (
    <div
      ref={scroller}
      className={wrap ? 'virtual lines wrap' : 'virtual lines'}
      tabIndex={0}
      role="log"
      aria-live="off"
      aria-label={`Log lines, ${order} first`}
      onKeyDown={onKeyDown}
      onScroll={(event) => onScroll(event.currentTarget)}
    >
      <div className="inner" style={{ height: virtual.getTotalSize() + 28 }}>
        {items.map((item) => {
          const line = lines[item.index];
          if (!line) return null;
          const key = lineKey(line);
          return (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className={item.index === current ? 'vrow current' : 'vrow'}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <LineRow
                line={line}
                id={key}
                open={key === open}
                zone={zone}
                withDate={withDate}
                wrap={wrap}
                wanted={logs.wanted}
                columns={logs.columns}
                widths={widths}
                onOpen={onOpen}
              />
              {key === open ? <LineDetail line={line} logs={logs} order={order} /> : null}
            </div>
          );
        })}
        <div className="linesEnd soft" style={{ transform: `translateY(${virtual.getTotalSize()}px)` }}>
          {loadingMore ? `Loading ${order === 'newest' ? 'older' : 'newer'} lines…` : props.end}
        </div>
      </div>
    </div>
  );
}
