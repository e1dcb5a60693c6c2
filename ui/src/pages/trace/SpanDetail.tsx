/** One span: times, attributes, events, the process it ran in. */
import { Link } from '@tanstack/react-router';
import type { KeyValue } from '../../api/jaeger';
import type { Zone } from '../../lib/time';
import { formatDateTimeMs, formatDurationUs } from '../../lib/timeformat';
import type { Span, Trace } from '../../lib/trace';
import { quote } from '../../lib/logql';
import { CloseIcon } from '../../shell/icons';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';

interface Props {
  trace: Trace;
  span: Span;
  selfUs: number;
  zone: Zone;
  onClose: () => void;
}

/** More attributes or events than this are listed in the table of the copied JSON, not on the page. */
const SHOWN = 200;

export function SpanDetail({ trace, span, selfUs, zone, onClose }: Props) {
  const logs = logsOf(trace, span.service);
  return (
    <aside className="panel spanDetail" aria-label="Span">
      <div className="row spanDetailHead">
        <div className="grow">
          <h2>{span.operation}</h2>
          <div className="soft">
            {span.service}
            {span.kind ? ` · ${span.kind}` : ''} {span.error ? <span className="tag bad">error</span> : null}
          </div>
        </div>
        <button type="button" className="btn quiet" aria-label="Close span" onClick={onClose}>
          <CloseIcon />
        </button>
      </div>
      <dl className="spanFacts">
        <div>
          <dt>Duration</dt>
          <dd>{formatDurationUs(span.durationUs)}</dd>
        </div>
        <div>
          <dt>Self</dt>
          <dd>{formatDurationUs(selfUs)}</dd>
        </div>
        <div>
          <dt>Starts at</dt>
          <dd>+{formatDurationUs(span.startUs)}</dd>
        </div>
        <div>
          <dt>Spans below</dt>
          <dd>{span.below}</dd>
        </div>
      </dl>
      <div className="soft data spanWhen">
        {formatDateTimeMs((trace.startUs + span.startUs) / 1e3, zone)} · {span.id}
      </div>
      <div className="row spanLinks">
        <Link to="/logs" search={(before: CommonSearch) => ({ ...pickCommon(before), ...logs })} className="btn">
          Logs of this service in the trace
        </Link>
      </div>
      {span.orphan ? (
        <p className="warn spanNote">Its parent is not in this trace: lost, late, or not sampled.</p>
      ) : null}
      {span.warnings.map((text) => (
        <p key={text} className="warn spanNote">
          {text}
        </p>
      ))}
      <div className="spanScroll" tabIndex={0} role="region" aria-label="Attributes and events">
        <Pairs title="Attributes" pairs={span.tags} />
        {span.events.length > 0 ? (
          <section aria-label="Events">
            <h3>
              Events <span className="faint">{span.events.length}</span>
            </h3>
            {span.events.slice(0, SHOWN).map((event, i) => (
              <div key={i} className="spanEvent">
                <div className="data soft">+{formatDurationUs(event.timestamp - trace.startUs)}</div>
                <PairTable pairs={event.fields} />
              </div>
            ))}
          </section>
        ) : null}
        <Pairs title="Process" pairs={span.process} />
      </div>
    </aside>
  );
}

/** The logs around a trace: five minutes of air for clocks that disagree and lines written after the fact. */
export function logsOf(trace: Trace, service: string | undefined): { from: string; to: string; q: string } {
  const air = 5 * 6e4;
  const selector = service === undefined ? '{service_name=~".+"}' : `{service_name=${quote(service)}}`;
  return {
    from: String(Math.floor(trace.startUs / 1e3 - air)),
    to: String(Math.ceil((trace.startUs + trace.durationUs) / 1e3 + air)),
    q: `${selector} | trace_id=${quote(trace.id)}`,
  };
}

function Pairs({ title, pairs }: { title: string; pairs: readonly KeyValue[] }) {
  if (pairs.length === 0) return null;
  return (
    <section aria-label={title}>
      <h3>
        {title} <span className="faint">{pairs.length}</span>
      </h3>
      <PairTable pairs={pairs} />
    </section>
  );
}

function PairTable({ pairs }: { pairs: readonly KeyValue[] }) {
  return (
    <table className="pairs data">
      <tbody>
        {pairs.slice(0, SHOWN).map((pair, i) => (
          <tr key={`${pair.key} ${i}`}>
            <th scope="row">{pair.key}</th>
            <td>{text(pair.value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function text(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}
