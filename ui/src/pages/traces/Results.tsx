/** A row per trace: when, what, how long against the longest here, how many spans and errors, through which services. */
import { Link } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef } from 'react';
import { assignSlots, slotVariable } from '../../lib/colour';
import { type Found, foundName } from '../../lib/found';
import type { Zone } from '../../lib/time';
import { formatDateTimeMs, formatDurationUs } from '../../lib/timeformat';
import { formatCount } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';

const ROW_PX = 44;
/** Service tags in a row before it says how many more. */
const TAGGED = 6;

interface Props {
  traces: readonly Found[];
  zone: Zone;
  /** At the end of the list. */
  end: React.ReactNode;
}

export function Results({ traces, zone, end }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: traces.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
    getItemKey: (i) => traces[i]?.id ?? i,
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
              <Row one={one} zone={zone} longest={longest} slots={slots} />
            </li>
          );
        })}
      </ol>
      <div className="row resultsEnd">{end}</div>
    </div>
  );
}

interface RowProps {
  one: Found;
  zone: Zone;
  longest: number;
  slots: ReadonlyMap<string, number>;
}

function Row({ one, zone, longest, slots }: RowProps) {
  const { service, operation } = foundName(one);
  return (
    <Link
      to="/trace/$id"
      params={{ id: one.id }}
      search={(before: CommonSearch) => pickCommon(before)}
      className="result"
      title={matchText(one)}
    >
      <span className="resultTop">
        <span className="soft resultTime">{formatDateTimeMs(one.startMs, zone)}</span>
        <strong className={one.service ? 'clip' : 'clip faint'}>{service}</strong>
        <span className={one.operation ? 'clip grow' : 'clip grow faint'}>{operation}</span>
        {one.errors > 0 ? (
          <span className="tag bad">
            {formatCount(one.errors)} {one.errors === 1 ? 'error' : 'errors'}
          </span>
        ) : null}
        <span className="num resultSpans soft">
          {one.spans > 0 ? `${formatCount(one.spans)} ${one.spans === 1 ? 'span' : 'spans'}` : ''}
        </span>
        <span className="num resultDuration">{formatDurationUs(one.durationUs)}</span>
      </span>
      <span className="resultBottom">
        <span className="resultTags">
          {one.services.slice(0, TAGGED).map((each) => (
            <span
              key={each.name}
              className={each.errors > 0 ? 'serviceTag bad' : 'serviceTag'}
              style={{ borderLeftColor: slotVariable(slots.get(each.name) ?? 0) }}
            >
              {each.name} <span className={each.errors > 0 ? undefined : 'faint'}>{each.count}</span>
            </span>
          ))}
          {one.services.length > TAGGED ? <span className="faint">+{one.services.length - TAGGED}</span> : null}
        </span>
        <span className="faint resultMatched">{one.matched > 0 ? `${formatCount(one.matched)} matched` : ''}</span>
        <span className="resultTrack" aria-hidden="true">
          <span
            className={one.errors > 0 ? 'resultBar failed' : 'resultBar'}
            style={{ width: `${Math.max(0.5, (100 * one.durationUs) / longest)}%` }}
          />
        </span>
      </span>
    </Link>
  );
}

/** The spans that matched, as far as the answer names them. */
function matchText(one: Found): string {
  return one.matches
    .map((span) => {
      const attributes = span.attributes.map(([name, value]) => `${name}=${value}`).join(' ');
      return `${span.name || span.id} ${formatDurationUs(span.durationUs)} ${attributes}`.trim();
    })
    .join('\n');
}
