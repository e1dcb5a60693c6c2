/** What a span says besides itself: its events, exceptions among them, and the spans it links to. */
import { Link } from '@tanstack/react-router';
import type { KeyValue, SpanEvent } from '../../api/jaeger';
import { valueText } from '../../lib/spanfind';
import { formatDurationUs } from '../../lib/timeformat';
import type { Span, Trace } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';

/** More attributes, events or links than this are counted only. */
export const SHOWN = 200;

export function Events({ trace, span }: { trace: Trace; span: Span }) {
  if (span.events.length === 0) return null;
  const inOrder = [...span.events].sort((a, b) => a.timestamp - b.timestamp);
  return (
    <section aria-label="Events">
      <h3>
        Events <span className="faint">{formatCount(span.events.length)}</span>
      </h3>
      <ol className="spanEvents">
        {inOrder.slice(0, SHOWN).map((event, i) => (
          <EventRow key={i} event={event} afterUs={event.timestamp + span.movedUs - trace.startUs - span.startUs} />
        ))}
      </ol>
      <Rest total={span.events.length} />
    </section>
  );
}

const NAME_KEYS = ['event', 'name', 'message'];

function EventRow({ event, afterUs }: { event: SpanEvent; afterUs: number }) {
  const said = (key: string) => event.fields.find((field) => field.key === key);
  const named = NAME_KEYS.map(said).find(Boolean);
  const exception = (said('exception.type') ?? said('exception.message')) ? readException(event) : null;
  const told = new Set([named?.key, ...(exception ? EXCEPTION_KEYS : [])]);
  const rest = event.fields.filter((field) => !told.has(field.key));
  return (
    <li className={exception ? 'spanEvent failed' : 'spanEvent'}>
      <div className="row">
        <strong className="grow">{named ? valueText(named.value) : 'event'}</strong>
        <span className="data soft" title="Since the span began">
          {afterUs < 0 ? '−' : '+'}
          {formatDurationUs(Math.abs(afterUs))}
        </span>
      </div>
      {exception ? (
        <>
          <p className="bad">
            {exception.type}
            {exception.type && exception.message ? ': ' : ''}
            {exception.message}
          </p>
          {exception.stack ? (
            <details>
              <summary>Stack trace</summary>
              <pre className="spanStack">{exception.stack.slice(0, 50_000)}</pre>
            </details>
          ) : null}
        </>
      ) : null}
      {rest.length > 0 ? <PairTable pairs={rest} /> : null}
    </li>
  );
}

const EXCEPTION_KEYS = ['exception.type', 'exception.message', 'exception.stacktrace'];

function readException(event: SpanEvent): { type: string; message: string; stack: string } {
  const [type = '', message = '', stack = ''] = EXCEPTION_KEYS.map((key) => {
    const field = event.fields.find((one) => one.key === key);
    return field ? valueText(field.value) : '';
  });
  return { type, message, stack };
}

export function Links({ trace, span, onSpan }: { trace: Trace; span: Span; onSpan: (id: string) => void }) {
  if (span.links.length === 0) return null;
  return (
    <section aria-label="Links">
      <h3>
        Links <span className="faint">{formatCount(span.links.length)}</span>
      </h3>
      <ul className="spanLinks">
        {span.links.slice(0, SHOWN).map((link) => (
          <li key={`${link.traceId} ${link.spanId}`}>
            <span className="soft">{link.kind === 'CHILD_OF' ? 'child of' : 'follows'}</span>{' '}
            {link.traceId === trace.id ? (
              <button type="button" className="linkish data" onClick={() => onSpan(link.spanId)}>
                span {link.spanId} of this trace
              </button>
            ) : (
              <Link
                to="/trace/$id"
                params={{ id: link.traceId }}
                search={(before: CommonSearch) => ({ ...pickCommon(before), span: link.spanId || undefined })}
                className="data"
              >
                {link.traceId}
                {link.spanId ? <span className="soft"> span {link.spanId}</span> : null}
              </Link>
            )}
          </li>
        ))}
      </ul>
      <Rest total={span.links.length} />
    </section>
  );
}

export function Pairs({ title, pairs }: { title: string; pairs: readonly KeyValue[] }) {
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
    <>
      <table className="pairs data">
        <tbody>
          {pairs.slice(0, SHOWN).map((pair, i) => (
            <tr key={`${pair.key} ${i}`}>
              <th scope="row">{pair.key}</th>
              <td>{valueText(pair.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Rest total={pairs.length} />
    </>
  );
}

function Rest({ total }: { total: number }) {
  if (total <= SHOWN) return null;
  return (
    <p className="soft">
      Showing {SHOWN} of {formatCount(total)}; the copy has all.
    </p>
  );
}
