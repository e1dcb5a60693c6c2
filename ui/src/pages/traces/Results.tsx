/** A row per trace: when, what, how long against the longest here, how many spans and errors, through which services. */
import { Link } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef } from 'react';
import { assignSlots, slotVariable } from '../../lib/colour';
import type { Zone } from '../../lib/time';
import { formatDateTimeMs, formatDurationUs } from '../../lib/timeformat';
import type { Summary } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';

const ROW_PX = 44;
/** Service tags in a row before it says how many more. */
const TAGGED = 6;

export function Results({ traces, zone }: { traces: readonly Summary[]; zone: Zone }) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: traces.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
  });
  const longest = useMemo(() => traces.reduce((most, one) => Math.max(most, one.durationUs), 1), [traces]);
  const slots = useMemo(
    () => assignSlots(traces.flatMap((one) => one.services.map((service) => service.name))),
    [traces],
  );
  return (
    <div ref={scroller} className="virtual grow" tabIndex={0} role="region" aria-label="List of traces">
      <ol className="inner" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const one = traces[item.index];
          if (!one) return null;
          return (
            <li key={one.id} className="vrow" style={{ transform: `translateY(${item.start}px)`, height: ROW_PX }}>
              <Link
                to="/trace/$id"
                params={{ id: one.id }}
                search={(before: CommonSearch) => pickCommon(before)}
                className="result"
              >
                <span className="resultTop">
                  <span className="soft resultTime">{formatDateTimeMs(one.startUs / 1e3, zone)}</span>
                  <strong className="clip">{one.service}</strong>
                  <span className="clip grow">{one.operation}</span>
                  {one.errors > 0 ? (
                    <span className="tag bad">
                      {one.errors} {one.errors === 1 ? 'error' : 'errors'}
                    </span>
                  ) : null}
                  <span className="num resultSpans soft">{formatCount(one.spans)} spans</span>
                  <span className="num resultDuration">{formatDurationUs(one.durationUs)}</span>
                </span>
                <span className="resultBottom">
                  <span className="resultTags">
                    {one.services.slice(0, TAGGED).map((service) => (
                      <span
                        key={service.name}
                        className="serviceTag"
                        style={{ borderLeftColor: slotVariable(slots.get(service.name) ?? 0) }}
                      >
                        {service.name} <span className="faint">{service.count}</span>
                      </span>
                    ))}
                    {one.services.length > TAGGED ? (
                      <span className="faint">+{one.services.length - TAGGED}</span>
                    ) : null}
                  </span>
                  <span className="resultTrack" aria-hidden="true">
                    <span
                      className={one.errors > 0 ? 'resultBar failed' : 'resultBar'}
                      style={{ width: `${Math.max(0.5, (100 * one.durationUs) / longest)}%` }}
                    />
                  </span>
                </span>
              </Link>
            </li>
          );
        })}
      </ol>
    </div>
  );
}
