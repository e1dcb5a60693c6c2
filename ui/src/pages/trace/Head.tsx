/** What a trace is: its name, when, how long, how much, through which services, and whether all of it is here. */
import type { LaneGap } from '../../lib/lanes';
import { formatDateTimeMs, formatDurationUs } from '../../lib/timeformat';
import type { Trace } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import { useView } from '../../state/view';

interface Props {
  trace: Trace;
  gaps: readonly LaneGap[];
  colour: (service: string) => string;
  /** Looks for the spans of one service. */
  onService: (service: string) => void;
}

/** Services named before it says how many more. */
const NAMED = 12;

export function Head({ trace, gaps, colour, onService }: Props) {
  const { zone } = useView();
  const root = trace.spans[trace.root];
  return (
    <section className="panel traceHead" aria-label="Trace">
      <div className="row">
        <h2 className="clip">{root ? `${root.service}: ${root.operation}` : 'No spans'}</h2>
        {gaps.length > 0 ? <span className="tag warn">partial</span> : null}
        {trace.errors > 0 ? (
          <span className="tag bad">
            {formatCount(trace.errors)} {trace.errors === 1 ? 'error' : 'errors'}
          </span>
        ) : null}
        <span className="grow" />
        <code className="soft">{trace.id}</code>
      </div>
      <div className="row traceFacts soft">
        <span>{formatDateTimeMs(trace.startUs / 1e3, zone)}</span>
        <span>
          <strong>{formatDurationUs(trace.durationUs)}</strong>
        </span>
        <span>
          <strong>{formatCount(trace.count)}</strong> {trace.count === 1 ? 'span' : 'spans'}
        </span>
        <span>
          <strong>{formatCount(trace.levels)}</strong> {trace.levels === 1 ? 'level' : 'levels'}
        </span>
        <ul className="row traceServices" aria-label="Services">
          {trace.services.slice(0, NAMED).map((service) => (
            <li key={service}>
              <button
                type="button"
                className="traceService"
                style={{ borderLeftColor: colour(service) }}
                title={`Find spans of ${service}`}
                onClick={() => onService(service)}
              >
                {service}
              </button>
            </li>
          ))}
          {trace.services.length > NAMED ? <li>+{trace.services.length - NAMED}</li> : null}
        </ul>
      </div>
    </section>
  );
}
