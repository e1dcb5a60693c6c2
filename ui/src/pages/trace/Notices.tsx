/** What a reader must know before trusting a trace: clusters that did not answer, spans that are not here, clocks. */
import { Link } from '@tanstack/react-router';
import type { LaneGap } from '../../lib/lanes';
import { type HostSkew, MOST_LATE_US, type Skew } from '../../lib/skew';
import { formatDurationUs } from '../../lib/timeformat';
import type { Trace } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import { InfoIcon, WarnIcon } from '../../shell/icons';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';
import { signed } from './SpanDetail';

interface Props {
  trace: Trace;
  gaps: readonly LaneGap[];
  skew: Skew | null;
  raw: boolean;
  onRaw: (raw: boolean) => void;
  onMissing: () => void;
}

/** Hosts and clusters named before it says how many more. */
const NAMED = 4;

export function Notices({ trace, gaps, skew, raw, onRaw, onMissing }: Props) {
  const orphans = trace.gaps.reduce((sum, i) => sum + (trace.spans[i]?.below ?? 0), 0);
  if (gaps.length === 0 && trace.gaps.length === 0 && !skew) return null;
  return (
    <ul className="traceNotices" aria-label="About this trace">
      {gaps.length > 0 ? (
        <li className="warn">
          <WarnIcon />
          <span>
            This trace is <strong>partial</strong>: spans of{' '}
            {gaps.slice(0, NAMED).map((gap, i) => (
              <span key={gap.name}>
                {i > 0 ? ', ' : ''}
                <Link to="/federation" search={(before: CommonSearch) => ({ ...pickCommon(before), peer: gap.name })}>
                  {gap.name}
                </Link>{' '}
                ({gap.state})
              </span>
            ))}
            {gaps.length > NAMED ? ` and ${gaps.length - NAMED} more` : ''} may not be here.
          </span>
        </li>
      ) : null}
      {trace.gaps.length > 0 ? (
        <li className="warn">
          <WarnIcon />
          <span>
            {formatCount(trace.gaps.length)} {trace.gaps.length === 1 ? 'span is' : 'spans are'} missing:{' '}
            {formatCount(orphans)} {orphans === 1 ? 'span hangs' : 'spans hang'} below.
          </span>
          <button type="button" className="linkish" onClick={onMissing}>
            Show
          </button>
        </li>
      ) : null}
      {skew ? <Clocks skew={skew} raw={raw} onRaw={onRaw} /> : null}
    </ul>
  );
}

function Clocks({ skew, raw, onRaw }: { skew: Skew; raw: boolean; onRaw: (raw: boolean) => void }) {
  const moved = skew.moved.reduce((sum, host) => sum + host.spans, 0);
  const refused = skew.refused.reduce((sum, host) => sum + host.spans, 0);
  return (
    <li>
      <InfoIcon />
      <span>
        {moved > 0 ? (
          <>
            Clocks disagree: {formatCount(moved)} {moved === 1 ? 'span' : 'spans'}{' '}
            {raw ? 'would be moved' : moved === 1 ? 'was moved' : 'were moved'} ({hostsText(skew.moved)}).{' '}
          </>
        ) : null}
        {refused > 0
          ? `${formatCount(refused)} ${refused === 1 ? 'lies' : 'lie'} more than ${formatDurationUs(MOST_LATE_US)} behind the parent (${hostsText(skew.refused)}): late rather than a clock, not moved.`
          : ''}
      </span>
      {moved > 0 ? (
        <span className="group" role="group" aria-label="Times">
          <button type="button" className="btn" aria-pressed={!raw} title="v c" onClick={() => onRaw(false)}>
            Adjusted
          </button>
          <button type="button" className="btn" aria-pressed={raw} title="v c" onClick={() => onRaw(true)}>
            As sent
          </button>
        </span>
      ) : null}
    </li>
  );
}

function hostsText(hosts: readonly HostSkew[]): string {
  const named = hosts.slice(0, NAMED).map(({ host, spans, leastUs, mostUs }) => {
    const by = leastUs === mostUs ? signed(mostUs) : `${signed(leastUs)} to ${signed(mostUs)}`;
    return `${host || 'an unknown host'}: ${formatCount(spans)} by ${by}`;
  });
  return `${named.join('; ')}${hosts.length > NAMED ? `; and ${hosts.length - NAMED} more hosts` : ''}`;
}
