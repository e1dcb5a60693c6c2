/** Every metric of the range with type and help; a click makes a sensible query of it. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useDeferredValue, useMemo, useRef, useState } from 'react';
import type { Metadata } from '../../api/prom';
import { familyOf } from '../../lib/queries';
import { rank } from '../../lib/rank';
import { formatCount } from '../../lib/units';
import { Name } from '../../parts/Name';

interface Props {
  names: readonly string[];
  metadata: Readonly<Record<string, Metadata[]>>;
  find: string;
  loading: boolean;
  onFind: (text: string) => void;
  onPick: (name: string, type: string) => void;
}

export function metaOf(metadata: Readonly<Record<string, Metadata[]>>, name: string): Metadata | undefined {
  return metadata[name]?.[0] ?? metadata[familyOf(name)]?.[0];
}

export function MetricBrowser({ names, metadata, find, loading, onFind, onPick }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const wanted = useDeferredValue(find);
  const found = useMemo(() => rank(names, wanted, (name) => name, 50_000), [names, wanted]);
  const virtual = useVirtualizer({
    count: found.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 26,
    overscan: 10,
  });
  const current = Math.min(active, found.length - 1);
  const pick = (index: number) => {
    const name = found[index];
    if (name) onPick(name, metaOf(metadata, name)?.type ?? '');
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    const move = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (event.key === 'Enter') pick(current);
    if (move === 0) return;
    event.preventDefault();
    const next = Math.min(Math.max(current + move, 0), found.length - 1);
    setActive(next);
    virtual.scrollToIndex(next);
  };
  const shown = found[current];
  const meta = shown ? metaOf(metadata, shown) : undefined;
  return (
    <aside className="panel metricBrowser" aria-label="Metric browser">
      <div className="metricBrowserHead">
        <input
          className="field"
          aria-label="Find a metric"
          placeholder="Find a metric"
          value={find}
          role="combobox"
          aria-expanded
          aria-controls="metric-list"
          aria-activedescendant={found.length > 0 ? `metric-${current}` : undefined}
          onChange={(event) => {
            onFind(event.target.value);
            setActive(0);
          }}
          onKeyDown={onKeyDown}
        />
        <span className="faint">
          {loading ? 'loading' : `${formatCount(found.length)} of ${formatCount(names.length)}`}
        </span>
      </div>
      <div ref={scroller} className="virtual grow" tabIndex={0} role="region" aria-label="Metrics found">
        <div
          id="metric-list"
          role="listbox"
          aria-label="Metrics"
          className="inner"
          style={{ height: virtual.getTotalSize() }}
        >
          {virtual.getVirtualItems().map((item) => {
            const name = found[item.index] ?? '';
            const type = metaOf(metadata, name)?.type;
            return (
              <div
                key={item.key}
                id={`metric-${item.index}`}
                role="option"
                aria-selected={item.index === current}
                className="vrow metricRow"
                style={{ transform: `translateY(${item.start}px)` }}
                title={name}
                onMouseEnter={() => setActive(item.index)}
                onClick={() => pick(item.index)}
              >
                <span className="grow clip">
                  <Name>{name}</Name>
                </span>
                {type ? <span className="tag">{SHORT[type] ?? type}</span> : null}
              </div>
            );
          })}
        </div>
      </div>
      <div className="metricHelp">
        {shown ? (
          <>
            <div className="data">{shown}</div>
            <div className="soft">
              {meta
                ? `${meta.type}${meta.unit ? `, ${meta.unit}` : ''}. ${meta.help}`
                : 'No type or help was sent with it.'}
            </div>
          </>
        ) : (
          <div className="soft">
            {loading
              ? ''
              : names.length === 0
                ? 'No metric has samples in this range. Widen it, or send some to /v1/metrics (OTLP) or /api/v1/write.'
                : 'No metric has this in its name.'}
          </div>
        )}
      </div>
    </aside>
  );
}

const SHORT: Record<string, string> = {
  counter: 'ctr',
  gauge: 'gauge',
  histogram: 'hist',
  summary: 'sum',
  gaugehistogram: 'ghist',
  unknown: '?',
  info: 'info',
  stateset: 'state',
};
