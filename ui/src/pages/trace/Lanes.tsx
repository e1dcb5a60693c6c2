/** The clusters a trace went through, a lane each on the time of the trace; those that did not answer are hatched. */
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Coverage } from '../../api/coverage';
import { laneGaps, lanesOf } from '../../lib/lanes';
import { formatDurationUs } from '../../lib/timeformat';
import type { Trace } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import { WarnIcon } from '../../shell/icons';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';
import '../../chart/chart.css';

interface Props {
  trace: Trace;
  coverage: readonly Coverage[];
  colour: (cluster: string) => string;
  /** The cluster whose spans alone are shown. */
  only: string | undefined;
  onOnly: (cluster: string | undefined) => void;
}

/** Stretches drawn in one lane; more are narrower than a pixel. */
const MOST_BUSY = 400;

export function Lanes({ trace, coverage, colour, only, onOnly }: Props) {
  const lanes = useMemo(() => lanesOf(trace), [trace]);
  const lacking = useMemo(() => laneGaps(coverage), [coverage]);
  // A cluster that sent some of its spans has its lane already; what it may lack is said there.
  const has = new Set(lanes.map((lane) => lane.cluster));
  const gaps = lacking.filter((gap) => !has.has(gap.cluster));
  if (lanes.length < 2 && lacking.length === 0) return null;
  const whole = Math.max(1, trace.durationUs);
  return (
    <section className="panel lanes" aria-label="Clusters of this trace">
      <ul>
        {lanes.map((lane) => {
          const name = lane.cluster || 'not told';
          const facts = `${formatCount(lane.spans)} ${lane.spans === 1 ? 'span' : 'spans'}, busy ${formatDurationUs(lane.busyUs)}`;
          const errors = lane.errors > 0 ? `, ${formatCount(lane.errors)} with errors` : '';
          const lack = lacking.find((gap) => gap.cluster === lane.cluster);
          return (
            <li key={lane.cluster} className="lane">
              <button
                type="button"
                className="linkish laneName clip"
                aria-pressed={only === lane.cluster}
                disabled={lane.cluster === ''}
                title={only === lane.cluster ? 'Show all spans' : `Only spans of ${name}`}
                onClick={() => onOnly(only === lane.cluster ? undefined : lane.cluster)}
              >
                <span className="swatch" style={{ background: colour(lane.cluster) }} />
                {name}
              </button>
              <span className="laneFacts soft">
                {facts}
                {errors ? <span className="bad">{errors}</span> : null}
                {lack ? (
                  <span className="warn" title={lack.reason}>
                    , {lack.state}: there may be more
                  </span>
                ) : null}
              </span>
              <span className="laneTrack" role="img" aria-label={`${name}: ${facts}${errors}`}>
                {lane.busy.slice(0, MOST_BUSY).map((one) => (
                  <span
                    key={one.from}
                    className="laneBusy"
                    style={{
                      left: `${(one.from / whole) * 100}%`,
                      width: `${((one.to - one.from) / whole) * 100}%`,
                      background: colour(lane.cluster),
                    }}
                  />
                ))}
              </span>
            </li>
          );
        })}
        {gaps.map((gap) => (
          <li key={gap.name} className="lane">
            <Link
              to="/federation"
              search={(before: CommonSearch) => ({ ...pickCommon(before), peer: gap.name })}
              className="laneName clip"
            >
              <WarnIcon /> {gap.name}
            </Link>
            <span className="laneFacts warn">{gap.state}</span>
            <span className={`laneTrack laneGap gapSwatch ${gap.state}`}>
              <span className="laneReason clip">
                its spans may be missing here{gap.reason ? `: ${gap.reason}` : ''}
              </span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
